import type { Browser, Page } from 'playwright-core';
import { makePlace, type Place } from '../../src/client/testing/place.ts';
import type { NodeTarget } from '../../test/http/node-target.ts';
import { makeTenant, type TestTenant } from '../../test/tenants.ts';
import { eventually, openTab, type Tab } from './visit.ts';

export const OFFICE = { width: 1_280, height: 900 };

export interface Operator extends Place {
  tenant: TestTenant;
  /** Opens /ops and signs in. @param url of a proxy, instead of the server */
  open(options?: { key?: string; viewport?: typeof OFFICE; url?: string }): Promise<Tab>;
}

/** A space of a tenant, and a key with all scopes for its operations page. @param tenantId the operator's, or a new one */
export async function makeOperator(
  { browser, api }: { browser: Browser; api: NodeTarget },
  tenantId?: string,
): Promise<Operator> {
  const tenant = await makeTenant(tenantId);
  const place = await makePlace(api, await tenant.apiKey(['read', 'write', 'admin']));
  return {
    ...place,
    tenant,
    async open({ key = place.key, viewport = OFFICE, url = place.url } = {}) {
      const tab = await openTab(browser, `${url}/ops`, { viewport, isLoaded: false });
      await signIn(tab.page, key);
      await tab.page.locator('#ops').waitFor();
      return tab;
    },
  };
}

export async function signIn(page: Page, key: string): Promise<void> {
  await page.locator('#key').fill(key);
  await page.locator('#key').press('Enter');
}

/** Opens a section of the page by its link. */
export async function openSection(page: Page, name: string): Promise<void> {
  await page.locator(`nav a[href="#${name}"]`).click();
  await eventually(() => page.locator(`#${name}`).isVisible()).toBe(true);
}
