/** A command that never left this process. `cause` says why. */
export class NotSent extends Error {
  constructor(cause: unknown) {
    super('The command was not sent.', { cause });
    this.name = 'NotSent';
  }
}
