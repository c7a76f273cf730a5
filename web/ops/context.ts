import type { Server } from './server.ts';

/** The parts of the page that all sections share, while somebody is signed in. */
export interface Context {
  server: Server;
  /** The id of the key in use; null if the browser cannot compute it. */
  keyId: string | null;
  /** Aborts when the person signs out. */
  signal: AbortSignal;
  /** Opens the section of objects, or of the audit, with these fields. */
  openObjects(space: string): void;
  openAudit(filter: AuditFilter): void;
}

export type AuditFilter = Partial<Record<'space' | 'object' | 'actor' | 'table' | 'from' | 'to', string>>;

/** One section of the page. */
export interface Section {
  /** Called each time when the person opens the section. */
  show(): void;
}
