import { LOG_LEVELS, type LogLevel } from '../../src/config.ts';

/** The fields of a line besides time, level and event: names, ids, counts. Never content of a request, never a secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line, if its level is not below the one configured. */
export type Log = (level: Exclude<LogLevel, 'silent'>, event: string, fields?: LogFields) => void;

export interface LogOptions {
  /** The least that is written. */
  level: LogLevel;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Where a line goes, without its line end. The console by default: warnings and errors to stderr, the rest to stdout. */
  write?: (line: string, level: LogLevel) => void;
}

/** Structured lines: one JSON object each, `{time, level, event, …}`. */
export function createLog({ level: least, now, write = writeToConsole }: LogOptions): Log {
  return function log(level, event, fields = {}) {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)) return;
    write(JSON.stringify({ time: new Date(now()).toISOString(), level, event, ...fields }), level);
  };
}

function writeToConsole(line: string, level: LogLevel): void {
  if (level === 'error' || level === 'warn') console.error(line);
  else console.log(line);
}
