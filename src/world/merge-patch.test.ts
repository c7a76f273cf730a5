import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyMergePatch,
  cloneJson,
  composeInto,
  composeIntoTwo,
  composePatches,
  mergeInto,
} from './merge-patch.ts';
import { anyProperties, deepFreeze } from './operation-testing.ts';
import type { JsonObject, JsonValue } from './types.ts';

describe('applyMergePatch', () => {
  it.each<[JsonValue, JsonValue, JsonValue]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{}, { toString: { a: 1 } }, { toString: { a: 1 } }],
  ])('gives for %j and %j the result of RFC 7396', (target, patch, expected) => {
    expect(applyMergePatch(deepFreeze(target), deepFreeze(patch))).toEqual(expected);
  });

  it('gives the result of mergeInto, which works in place and keeps the patch', () => {
    fc.assert(
      fc.property(anyProperties, anyProperties, anyProperties, (target, patch, later) => {
        const merged = cloneJson(target);
        mergeInto(merged, deepFreeze(patch));
        expect(merged).toEqual(applyMergePatch(deepFreeze(target), patch));
        // The result shares nothing with the patch: later patches change it in place.
        mergeInto(merged, later);
      }),
    );
  });
});

/** A member that neither patch names, at every place where a patch has an object. */
function plant(patch: JsonValue | undefined): JsonValue {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return { planted: 1 };
  const target: JsonObject = { planted: 1 };
  for (const [key, value] of Object.entries(patch)) target[key] = plant(value);
  return target;
}

describe('composePatches', () => {
  it.each<[JsonObject, JsonObject, JsonObject | null]>([
    [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    [{ a: 1 }, { a: 2 }, { a: 2 }],
    [{ a: { b: 1 } }, { a: { c: 2 } }, { a: { b: 1, c: 2 } }],
    [{ a: { b: 1 } }, { a: { b: null } }, { a: { b: null } }],
    [{ a: { b: 1 } }, { a: null }, { a: null }],
    [{ a: null }, { a: 1 }, { a: 1 }],
    [{ a: null }, { b: { c: 1 } }, { a: null, b: { c: 1 } }],
    [{ a: null }, { a: { b: 1 } }, null],
    [{ a: { b: null } }, { a: { b: { c: 1 } } }, null],
    // 1 replaced the earlier value of `a`. A patch with an object in its place would keep that value.
    [{ a: 1 }, { a: { b: 1 } }, null],
    [{ a: [1] }, { a: {} }, null],
  ])('folds %j and %j into %j', (a, b, expected) => {
    expect(composePatches(deepFreeze(a), deepFreeze(b))).toEqual(expected);
  });

  it('has the effect of both patches in order on every target, or is null if no patch has', () => {
    let folded = 0;
    fc.assert(
      fc.property(anyProperties, anyProperties, anyProperties, (a, b, drawn) => {
        const one = composePatches(deepFreeze(a), deepFreeze(b));
        const both = (target: JsonValue) => applyMergePatch(applyMergePatch(target, a), b);
        const targets = [drawn, {}, plant(a), plant(b), plant(applyMergePatch(plant(a), b))];
        if (one !== null) {
          folded++;
          for (const target of targets) expect(applyMergePatch(target, one)).toEqual(both(target));
        } else {
          const naive = cloneJson(a);
          composeInto(naive, b);
          const differs = (target: JsonValue) =>
            JSON.stringify(sortKeys(applyMergePatch(target, naive))) !==
            JSON.stringify(sortKeys(both(target)));
          expect(targets.some(differs)).toBe(true);
        }
      }),
      { numRuns: 3_000 },
    );
    expect(folded).toBeGreaterThan(1_000);
  });

  it('shares nothing with its sources', () => {
    const a = deepFreeze<JsonObject>({ a: { b: [1] } });
    const b = deepFreeze<JsonObject>({ c: { d: {} }, a: { e: [{}] } });
    const one = composePatches(a, b);
    expect(one).toEqual({ a: { b: [1], e: [{}] }, c: { d: {} } });
    composeInto(one ?? {}, { c: { d: { f: 1 } }, a: { e: 2 } });
    expect(one).toEqual({ a: { b: [1], e: 2 }, c: { d: { f: 1 } } });
  });
});

describe('composeIntoTwo', () => {
  it.each<[patches: JsonObject[], two: [JsonObject, JsonObject]]>([
    [
      [{ a: 1 }, { b: { c: null } }],
      [{}, { a: 1, b: { c: null } }],
    ],
    [
      [{ a: null }, { a: { b: 1 } }],
      [{ a: null }, { a: { b: 1 } }],
    ],
    [
      [{ a: { b: 1 } }, { a: { b: { c: 2 } } }],
      [{ a: { b: null } }, { a: { b: { c: 2 } } }],
    ],
    [
      [{ a: 1 }, { a: { b: 1 } }, { a: { b: { c: 1 } } }],
      [{ a: null }, { a: { b: { c: 1 } } }],
    ],
  ])('folds %j into two', (patches, two) => {
    const [first, last]: [JsonObject, JsonObject] = [{}, {}];
    for (const patch of patches) composeIntoTwo(first, last, deepFreeze(patch));
    expect([first, last]).toEqual(two);
  });

  it('have the effect of all patches in order on every target, for any number of patches', () => {
    const many = fc.array(anyProperties, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(many, anyProperties, (patches, drawn) => {
        const [first, last]: [JsonObject, JsonObject] = [{}, {}];
        for (const patch of patches) composeIntoTwo(first, last, deepFreeze(patch));
        for (const target of [drawn, {}, ...patches.map(plant), plant(patches.reduce(applyMergeTo, {}))])
          expect(applyMergePatch(applyMergePatch(target, first), last)).toEqual(
            patches.reduce<JsonValue>(applyMergePatch, target),
          );
      }),
      { numRuns: 3_000 },
    );
  });
});

function applyMergeTo(target: JsonObject, patch: JsonObject): JsonObject {
  return applyMergePatch(target, patch) as JsonObject;
}

function sortKeys(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys(value[key] as JsonValue)]),
  );
}
