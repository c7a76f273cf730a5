import { BaseSequencer, type TestSpecification } from 'vitest/node';

const SLOW =
  /\/test\/http\/|-size\.pg\.test\.ts$|\/client\/histories\.proof\.ts$|\/bench\.proof\.ts$|\/old-redis\.proof\.ts$|\/audit\.pg\.test\.ts$/;

/** Starts the slowest files first, so that no core is idle at the end while the other one works on them. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const { slow = [], others = [] } = Object.groupBy(sorted, ({ moduleId }) =>
      SLOW.test(moduleId) ? 'slow' : 'others',
    );
    return [...slow, ...others];
  }
}
