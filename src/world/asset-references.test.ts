import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addObjectReferences, noAssets, ReferenceCounts } from './asset-references.ts';
import { anyProperties } from './operation-testing.ts';

function toText(object: object): string {
  const whole = {
    id: 'a',
    spaceId: 's',
    name: null,
    modelId: null,
    parentId: null,
    properties: {},
    ...object,
  };
  return JSON.stringify(whole);
}

function readReferences(text: string) {
  const ids = noAssets();
  addObjectReferences(ids, text);
  return { models: [...ids.models], media: [...ids.media] };
}

describe('the references of an object', () => {
  it('[S10] are its modelId, and the mediaId and mediaIds of its properties', () => {
    const properties = { mediaId: 'song', mediaIds: ['a', 7, 'b', '..', 'a'], modelId: 'no' };
    expect(readReferences(toText({ modelId: 'chair', properties }))).toEqual({
      models: ['chair'],
      media: ['song', 'a', 'b'],
    });
    expect(readReferences(toText({ properties: { deep: { mediaId: 'no', modelId: 'no' } } }))).toEqual({
      models: [],
      media: [],
    });
  });

  it('[S10] come from no other text, whatever the name and the properties say', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom(',"modelId":"x"', '"mediaId":"x"', '\\",\\"modelId\\":')),
        fc.option(fc.constantFrom('m', 'chair-1')),
        anyProperties,
        (name, modelId, properties) => {
          const text = toText({ name, modelId, properties: { ...properties, modelId: 'no' } });
          expect(readReferences(text).models).toEqual(modelId === null ? [] : [modelId]);
        },
      ),
    );
  });

  it('[S10] are counted: one is gone with the last object that has it', () => {
    const counts = new ReferenceCounts();
    const [first, second] = [toText({ modelId: 'chair' }), toText({ id: 'b', modelId: 'chair' })];
    counts.add(first, 1);
    counts.add(second, 1);
    counts.add(first, -1);
    expect([...counts.models]).toEqual([['chair', 1]]);
    counts.add(second, -1);
    expect(counts.models.size).toBe(0);
  });
});
