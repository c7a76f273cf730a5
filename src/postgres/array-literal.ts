/**
 * Columns of many rows, each as one parameter: Postgres reads an array of numbers several times faster than the same in
 * JSON. A column without values is the empty array, which `unnest` fills up with NULL.
 */
export class TextColumn {
  #text = '';
  #hasValue = false;

  push(value: string | null | undefined): void {
    if (this.#text !== '') this.#text += ',';
    if (value === null || value === undefined) {
      this.#text += 'NULL';
      return;
    }
    this.#hasValue = true;
    // Always quoted: an id may be NULL. Text in Postgres has no NUL character, so no id has its placeholder.
    this.#text += PLAIN.test(value)
      ? `"${value}"`
      : `"${value.replaceAll('\0', '\uFFFD').replace(/["\\]/g, '\\$&')}"`;
  }

  toString(): string {
    return this.#hasValue ? `{${this.#text}}` : '{}';
  }
}

const PLAIN = /^[A-Za-z0-9._:-]*$/;

export class NumberColumn {
  #text = '';
  #hasValue = false;

  push(value: number | null | undefined): void {
    if (this.#text !== '') this.#text += ',';
    if (value === null || value === undefined) {
      this.#text += 'NULL';
      return;
    }
    this.#hasValue = true;
    // A value that is not a number becomes NaN: Postgres then refuses its row, and not the whole array.
    this.#text += typeof value === 'number' ? value : 'NaN';
  }

  toString(): string {
    return this.#hasValue ? `{${this.#text}}` : '{}';
  }
}

/** @returns texts as one array parameter. */
export function toTexts(values: Iterable<string | null>): string {
  const column = new TextColumn();
  for (const value of values) column.push(value);
  return column.toString();
}
