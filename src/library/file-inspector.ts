import { AppError } from '../world/errors.ts';
import type { JsonObject } from '../world/types.ts';

/** The results of the inspection of a file. */
export interface Inspected {
  /** The detected media type. */
  contentType: string;
  details: JsonObject;
}

/** Looks at a file while its bytes come in. It keeps only what it needs. */
export interface FileInspector {
  /** @throws invalid_file as soon as the file cannot be good any more */
  push(chunk: Uint8Array): void;
  /** @throws invalid_file */
  finish(): Inspected;
}

export function invalidFile(message: string, cause?: unknown): AppError {
  return new AppError('invalid_file', message, { cause });
}
