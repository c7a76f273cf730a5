/** Deeper nesting is refused: no scene needs it, and code that walks a scene may then recurse. */
export const SCENE_JSON_DEPTH_MAX = 512;

export interface JsonFault {
  /** Index of the UTF-16 code unit where it is. */
  at: number;
  message: string;
}

const SPACE = /[\t\n\r ]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
const BAD_IN_STRING = /[^\u0020-\uffff]|\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4}|\\)/;

interface Open {
  /** The keys seen, of an object; null for an array. */
  keys: Set<string> | null;
  expects: 'first' | 'item' | 'key' | 'colon' | 'value' | 'comma';
}

/**
 * Finds the first error in a JSON text: a syntax error, or a duplicate member. JSON.parse keeps the last of two members and drops the
 * other silently.
 * @returns the first fault, or null for a text that is sound.
 */
export function findJsonFault(text: string): JsonFault | null {
  const open: Open[] = [];
  let at = skipSpace(text, 0);
  let done = false;

  while (at < text.length) {
    const top = open.at(-1);
    const char = text.charAt(at);
    if (done) return { at, message: 'there is something behind the end of the JSON' };

    if (top?.expects === 'colon') {
      if (char !== ':') return { at, message: "':' is missing behind a member's name" };
      top.expects = 'value';
      at = skipSpace(text, at + 1);
      continue;
    }
    if (top?.expects === 'comma') {
      if (char === (top.keys === null ? ']' : '}')) open.pop();
      else if (char !== ',')
        return { at, message: `',' or '${top.keys === null ? ']' : '}'}' is missing here` };
      else top.expects = top.keys === null ? 'item' : 'key';
      at = skipSpace(text, at + 1);
      done = char !== ',' && closeValue(open);
      continue;
    }
    if (top?.expects === 'first' && char === (top.keys === null ? ']' : '}')) {
      open.pop();
      at = skipSpace(text, at + 1);
      done = closeValue(open);
      continue;
    }

    const wantsKey = top !== undefined && top.keys !== null && top.expects !== 'value';
    if (char === '"') {
      const end = findStringEnd(text, at);
      if (end < 0) return { at, message: 'a string begins here and does not end' };
      const bad = BAD_IN_STRING.exec(text.slice(at + 1, end).replaceAll('\\\\', '  '));
      if (bad !== null)
        return { at: at + 1 + bad.index, message: 'a string may not hold this character or escape' };
      if (wantsKey) {
        const key = text.slice(at, end + 1);
        const name = key.includes('\\') ? JSON.stringify(JSON.parse(key)) : key;
        if (top.keys?.has(name)) return { at, message: `the member ${name} is there twice` };
        top.keys?.add(name);
        top.expects = 'colon';
      } else done = closeValue(open);
      at = skipSpace(text, end + 1);
      continue;
    }
    if (wantsKey) return { at, message: "a member's name in double quotes is missing here" };
    if (char === '{' || char === '[') {
      if (open.length >= SCENE_JSON_DEPTH_MAX)
        return { at, message: `nests deeper than ${SCENE_JSON_DEPTH_MAX} levels` };
      open.push({ keys: char === '{' ? new Set() : null, expects: 'first' });
      at = skipSpace(text, at + 1);
      continue;
    }
    SCALAR.lastIndex = at;
    if (!SCALAR.test(text)) return { at, message: 'this is not a JSON value' };
    at = skipSpace(text, SCALAR.lastIndex);
    done = closeValue(open);
  }
  return done ? null : { at, message: 'the JSON ends too early' };
}

/** A value is complete: what holds it waits for a comma or its end. @returns whether it was the whole text's value. */
function closeValue(open: Open[]): boolean {
  const top = open.at(-1);
  if (top === undefined) return true;
  top.expects = 'comma';
  return false;
}

function skipSpace(text: string, from: number): number {
  SPACE.lastIndex = from;
  SPACE.test(text);
  return SPACE.lastIndex;
}

/** @returns the index of the quote that ends the string beginning at `start`, or -1. A quote behind an odd number of backslashes is escaped. */
function findStringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charAt(end - 1 - backslashes) === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

/** @returns line and column, from 1, of an index in the text. */
export function toLineAndColumn(text: string, at: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let end = text.indexOf('\n'); end >= 0 && end < at; end = text.indexOf('\n', end + 1)) {
    line++;
    start = end + 1;
  }
  return { line, column: at - start + 1 };
}
