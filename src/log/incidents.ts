import { readCursor, writeCursor } from '../world/cursor.ts';
import { checkId, checkPageLimit } from '../world/schemas.ts';
import type { JsonObject, Page } from '../world/types.ts';

/** A problem that was found in the log of a space. */
export interface IncidentRecord {
  id: string;
  spaceId: string;
  /** See the table of lost entries in src/SPEC.md. */
  kind: string;
  detail: JsonObject;
  at: string;
}

/** The part of a database that Incidents needs. */
export interface IncidentStore {
  /** Newest first, behind the one whose id is `before`. @param of.spaceId null: of all spaces */
  listIncidents(
    tenantId: string,
    of: { spaceId: string | null; before: string; limit: number },
  ): Promise<{ incidents: IncidentRecord[]; more: boolean }>;
}

/** The incidents of a tenant. */
export class Incidents {
  readonly #store: IncidentStore;

  constructor(store: IncidentStore) {
    this.#store = store;
  }

  /** Newest first. A space that nobody knows has none. @throws validation_failed */
  async list(
    tenantId: string,
    page: { space?: string | undefined; limit?: number | string | undefined; cursor?: string | undefined },
  ): Promise<Page<IncidentRecord>> {
    const { incidents, more } = await this.#store.listIncidents(tenantId, {
      spaceId: page.space === undefined ? null : checkId(page.space, '/space'),
      limit: checkPageLimit(page.limit),
      before: readCursor(page.cursor),
    });
    return { items: incidents, nextCursor: more ? writeCursor(incidents.at(-1)?.id ?? '') : null };
  }
}
