import { AppError, type FieldError } from '../world/errors.ts';
import { SceneError } from './formats/scene.ts';

/** The command was used wrongly: said in one sentence, exit code 2. */
export class UsageError extends Error {
  /** Whether the usage of the command helps; it does not where the environment is at fault. */
  readonly showUsage: boolean;

  constructor(message: string, { showUsage = true } = {}) {
    super(message);
    this.name = 'UsageError';
    this.showUsage = showUsage;
  }
}

/** The command could not do what it was asked: said in one sentence, exit code 1. */
export class CommandError extends Error {
  readonly code: string;
  readonly details: CommandErrorDetails;

  constructor(code: string, message: string, details: CommandErrorDetails = {}, cause?: unknown) {
    super(message, { cause });
    this.name = 'CommandError';
    this.code = code;
    this.details = details;
  }
}

export interface CommandErrorDetails {
  status?: number;
  errors?: readonly FieldError[];
  requestId?: string;
}

/** An error as `--json` prints it. */
export interface ErrorDocument {
  error: CommandErrorDetails & { code: string; message: string; file?: string; node?: string | null };
}

export function describeError(error: unknown): ErrorDocument {
  if (error instanceof UsageError) return { error: { code: 'usage', message: error.message } };
  if (error instanceof SceneError) {
    const { message, file, node } = error;
    return { error: { code: 'invalid_scene', message, file, node } };
  }
  if (error instanceof CommandError) {
    const { code, message, details } = error;
    return { error: { code, message, ...details } };
  }
  if (error instanceof AppError) {
    const { code, message, errors } = error;
    const [first] = errors;
    return {
      error: {
        code,
        message: first === undefined ? message : `${message} ${first.path} ${first.message}`,
        ...(errors.length > 0 && { errors }),
      },
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { error: { code: 'internal', message: `unexpected: ${message}` } };
}

/** @returns the system's code of a failed file or network call (`ENOENT`, `ECONNREFUSED`), wherever in the causes it is. */
export function systemCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    if (at instanceof AggregateError && at.errors.length > 0) return systemCode(at.errors[0]);
  }
  return undefined;
}
