import type { Connection, Submittable } from 'pg';

export interface Statement {
  text: string;
  params: (string | null)[];
}

export interface FieldDescription {
  name: string;
  tableID: number;
  columnID: number;
  dataTypeID: number;
  dataTypeSize: number;
  dataTypeModifier: number;
}

/** Values are as Postgres printed them. */
export interface StatementResult {
  fields: FieldDescription[];
  rows: (string | null)[][];
  /** Such as `INSERT 0 3`; empty for an empty query. */
  tag: string;
}

export type ExchangeOutcome = { results: StatementResult[] } | { error: Error } | { tooLarge: true };

/** The parts of a connection that `@types/pg` does not declare. */
interface CopyConnection extends Connection {
  sendCopyFail(message: string): void;
}

/**
 * Statements in one round trip of the extended protocol, with one sync after the last. After a failed statement the server skips the
 * rest, so no later statement runs.
 * Give it to a pg client's `query()`.
 */
export class Exchange implements Submittable {
  readonly outcome: Promise<ExchangeOutcome>;
  #settle: (outcome: ExchangeOutcome) => void = () => undefined;
  #statements: readonly Statement[];
  #rowBytesMax: number;
  #results: StatementResult[] = [];
  #current: StatementResult = { fields: [], rows: [], tag: '' };
  #rowBytes = 0;

  /** @param rowBytesMax more than this in all rows is read to its end but not kept: the outcome is `tooLarge`. */
  constructor(statements: readonly Statement[], rowBytesMax: number) {
    this.#statements = statements;
    this.#rowBytesMax = rowBytesMax;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  submit(connection: Connection): void {
    connection.stream.cork();
    for (const { text, params } of this.#statements) {
      connection.parse({ name: '', text, types: [] }, true);
      connection.bind({ values: params }, true);
      connection.describe({ type: 'P', name: '' }, true);
      connection.execute({}, true);
    }
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription(message: { fields: FieldDescription[] }): void {
    this.#current.fields = message.fields;
  }

  handleDataRow(message: { fields: (string | null)[]; length: number }): void {
    this.#rowBytes += message.length;
    if (this.#rowBytes <= this.#rowBytesMax) this.#current.rows.push(message.fields);
    else this.#current.rows = [];
  }

  handleCommandComplete(message: { text: string }): void {
    this.#results.push({ ...this.#current, tag: message.text });
    this.#current = { fields: [], rows: [], tag: '' };
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  handleError(error: Error): void {
    this.#settle({ error });
  }

  handleReadyForQuery(): void {
    this.#settle(this.#rowBytes > this.#rowBytesMax ? { tooLarge: true } : { results: this.#results });
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFail('COPY is not supported over HTTP');
    // The server has passed over the first sync, as it does with every one that comes while it copies.
    connection.sync();
  }

  handleCopyData(): void {
    // COPY … TO STDOUT: nothing takes its rows.
  }

  handlePortalSuspended(): void {
    // Never: no statement is run with a row limit.
  }
}
