import type { UploadedPart } from './bucket.ts';

/** Answers are a few hundred bytes. A longer text is not of S3. */
export const XML_LENGTH_MAX = 64 * 1024;

/**
 * Reads the text of an element without children, such as `<UploadId>…</UploadId>`.
 * @returns null unless the document has the root and exactly one such element
 */
export function readXmlText(xml: string, root: string, element: string): string | null {
  if (readXmlRoot(xml) !== root) return null;
  const found = [...xml.matchAll(new RegExp(`<${element}>([^<>]*)</${element}>`, 'g'))];
  return found.length === 1 ? decodeEntities(found[0]?.[1] ?? '') : null;
}

/** @returns the name of the root element; null for a text that is not an XML document */
export function readXmlRoot(xml: string): string | null {
  return /^\s*(?:<\?xml[^<>]*\?>\s*)?<(\w+)(?:\s[^<>]*)?>[\s\S]*<\/\1>\s*$/.exec(xml)?.[1] ?? null;
}

/** The body of CompleteMultipartUpload. */
export function printParts(parts: readonly UploadedPart[]): string {
  const items = parts.map(
    ({ part, etag }) => `<Part><PartNumber>${part}</PartNumber><ETag>${encodeEntities(etag)}</ETag></Part>`,
  );
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${items.join('')}</CompleteMultipartUpload>`;
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(amp|lt|gt|quot|apos));/gi, (_, decimal, hex, name) =>
    name
      ? (ENTITIES[name.toLowerCase()] ?? '')
      : String.fromCodePoint(Number.parseInt(decimal ?? hex, decimal ? 10 : 16)),
  );
}

/** Not every S3 server reads numbers of characters, and an etag has quotes, which need no escape. */
function encodeEntities(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
