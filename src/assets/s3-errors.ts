import { type AppError, readSystemCode } from '../world/errors.ts';
import { bucketAway, bucketRefuses, digestMismatch, unknownUpload, wrongParts } from './bucket.ts';
import { readXmlText } from './s3-xml.ts';

/** Names of the settings, for messages. */
export interface S3Variables {
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** An answer of S3 that is not a success. */
export interface S3Failure {
  status: number;
  /** The `<Code>` of the error document; '' if there is none, as after HEAD. */
  code: string;
}

export function readFailure(status: number, xml: string): S3Failure {
  return { status, code: readXmlText(xml, 'Error', 'Code') ?? '' };
}

/** @returns an error that names the setting to correct, and no secret. S3's own message may repeat the request, so it is left out. */
export function explainFailure({ status, code }: S3Failure, variables: S3Variables): AppError {
  const refusal = explainRefusal({ status, code }, variables);
  if (refusal !== null) return bucketRefuses(refusal);
  switch (code) {
    case 'NoSuchUpload':
      return unknownUpload();
    case 'InvalidPart':
    case 'InvalidPartOrder':
    case 'EntityTooSmall':
      return wrongParts();
    case 'BadDigest':
    case 'XAmzContentChecksumMismatch':
      return digestMismatch();
    default:
      return bucketAway(
        `The S3 server at ${variables.endpoint} cannot do this now (status ${status}${code && `, ${code}`}).`,
      );
  }
}

/** @returns null unless an operator has to correct something */
function explainRefusal({ status, code }: S3Failure, variables: S3Variables): string | null {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = variables;
  switch (code) {
    case 'NoSuchBucket':
      return `The S3 server does not have the bucket in ${bucket}. Create it, or correct the name.`;
    case 'InvalidAccessKeyId':
      return `The S3 server does not know the key in ${accessKeyId}. Correct it.`;
    case 'SignatureDoesNotMatch':
      return `The S3 server refuses the signature. Correct the secret in ${secretAccessKey}.`;
    case 'RequestTimeTooSkewed':
      return 'The S3 server refuses the time of the request. Correct the clock of this machine.';
    case 'AuthorizationHeaderMalformed':
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
      return `The S3 server has the bucket in another region. Correct ${region} or ${endpoint}.`;
  }
  if (status === 401 || status === 403)
    return `The S3 server does not allow this. Check ${accessKeyId} and ${secretAccessKey}, and the rights of the key for the bucket in ${bucket}.`;
  if (status >= 300 && status < 400)
    return `The S3 server redirects to another address. Correct ${endpoint} or ${region}.`;
  return null;
}

/** A request without an answer. */
export function explainNoAnswer(error: unknown, { endpoint }: S3Variables): AppError {
  const code = readSystemCode(error);
  return bucketAway(`The S3 server at ${endpoint} does not answer${code ? ` (${code})` : ''}.`, error);
}
