import { describe, expect, it } from 'vitest';
import { readDocument } from '../testing/round-trip.ts';
import { assignIds, toIdPrefix } from './object-id.ts';

const ASSET = { version: '2.0' };
const kept = (id: string) => ({ extras: { worldkeep: { id } } });

async function idsOf(document: object, idStamp?: string): Promise<string[]> {
  const { world } = await readDocument({ asset: ASSET, ...document }, 'town', idStamp);
  return (world.objects as { id: string }[]).map(({ id }) => id);
}

describe('the ids of nodes', () => {
  it('name the file and the index, each time the same, where no node has one', async () => {
    expect(await idsOf({ nodes: [{}, {}] })).toEqual(['town:0', 'town:1']);
  });

  it('are new where some node has one, and each time the same', async () => {
    const nodes = [{}, kept('town:0'), kept('gate')];
    const [first, ...others] = await idsOf({ nodes });
    expect(others).toEqual(['town:0', 'gate']);
    expect(first).toMatch(/^town:0-[0-9a-f]{12}$/);
    expect(await idsOf({ nodes })).toEqual([first, ...others]);
  });

  it('are not ids of objects that another program removed from an export', async () => {
    const extras = { worldkeep: { space: { name: 'Town' } } };
    expect(await idsOf({ extras, nodes: [{}] })).toEqual([expect.stringMatching(/^town:0-[0-9a-f]{12}$/)]);
  });

  it('have the stamp of a merge, unless the node has an id', async () => {
    expect(await idsOf({ nodes: [{}, kept('gate')] }, 'f00d')).toEqual(['town:0-f00d', 'gate']);
    expect(await idsOf({ nodes: [{}] }, 'f00d')).toEqual(['town:0-f00d']);
  });

  it('are told apart by a count where a node has such an id already', () => {
    const ids = assignIds([null, 'a:0-s', 'a:0-s.2', null], 'a', 's');
    expect(ids).toEqual(['a:0-s.3', 'a:0-s', 'a:0-s.2', 'a:3-s']);
    expect(assignIds([null, 'a:0'], 'a', null)).toEqual(['a:0.2', 'a:0']);
  });

  it('of the longest name and the highest index fit into an id', () => {
    const [id = ''] = assignIds([null], toIdPrefix('x'.repeat(300)), 'f'.repeat(12));
    expect(id.length + String(2 ** 31).length + '.99'.length).toBeLessThanOrEqual(128);
  });
});
