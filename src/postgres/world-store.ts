import type { WorldStore } from '../persistence/world-stores.ts';
import type { Postgres } from './client.ts';
import { deleteSpace } from './operations/delete-space.ts';
import { ensureTenant } from './operations/ensure-tenant.ts';
import { eraseUser } from './operations/erase-user.ts';
import { exportPerson } from './operations/export-person.ts';
import { listMessages, loadMessage } from './operations/list-messages.ts';
import { listLogs, listShownMessages } from './operations/list-traces.ts';
import { listUsers } from './operations/list-users.ts';
import { referencesAsset } from './operations/load-assets.ts';
import { countTenant, loadStateVersion, loadStatistics } from './operations/load-counts.ts';
import { listObjects, loadObject } from './operations/load-object.ts';
import { listSpaces, loadSpace } from './operations/load-space.ts';
import { loadUser } from './operations/load-user.ts';
import { loadWorld } from './operations/load-world.ts';
import { putSpace, updateSpace } from './operations/put-space.ts';
import { stageWorldStream } from './operations/stage-stream.ts';
import { stageWorld } from './operations/stage-world.ts';
import { streamWorld } from './operations/stream-world.ts';
import { updateUser, upsertUser } from './operations/upsert-user.ts';

/** The store of PersistenceLayer, on Postgres: each method is the operation of the same name. */
export function createWorldStore(postgres: Postgres): WorldStore {
  return {
    ping: () => postgres.ping(),
    close: () => postgres.close(),
    ensureTenant: (...args) => ensureTenant(postgres, ...args),
    putSpace: (...args) => putSpace(postgres, ...args),
    updateSpace: (...args) => updateSpace(postgres, ...args),
    loadSpace: (...args) => loadSpace(postgres, ...args),
    listSpaces: (...args) => listSpaces(postgres, ...args),
    deleteSpace: (...args) => deleteSpace(postgres, ...args),
    loadObject: (...args) => loadObject(postgres, ...args),
    listObjects: (...args) => listObjects(postgres, ...args),
    referencesAsset: (...args) => referencesAsset(postgres, ...args),
    listMessages: (...args) => listMessages(postgres, ...args),
    loadMessage: (...args) => loadMessage(postgres, ...args),
    loadWorld: (...args) => loadWorld(postgres, ...args),
    streamWorld: (...args) => streamWorld(postgres, ...args),
    stageWorld: (...args) => stageWorld(postgres, ...args),
    stageWorldStream: (...args) => stageWorldStream(postgres, ...args),
    upsertUser: (...args) => upsertUser(postgres, ...args),
    updateUser: (...args) => updateUser(postgres, ...args),
    listUsers: (...args) => listUsers(postgres, ...args),
    loadUser: (...args) => loadUser(postgres, ...args),
    eraseUser: (...args) => eraseUser(postgres, ...args),
    listLogs: (...args) => listLogs(postgres, ...args),
    listShownMessages: (...args) => listShownMessages(postgres, ...args),
    exportPerson: (...args) => exportPerson(postgres, ...args),
    loadStatistics: (...args) => loadStatistics(postgres, ...args),
    countTenant: (...args) => countTenant(postgres, ...args),
    loadStateVersion: (...args) => loadStateVersion(postgres, ...args),
  };
}
