import type { Locator } from '@playwright/test';
import { expect, test } from '../fixtures/mesh.ts';

test('the graph appears with live rates of the demo', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/graph`);
  for (const id of ['gw:ingress/ingressgateway', 'wl:bookinfo/productpage-v1', 'wl:bookinfo/reviews-v1', 'wl:bookinfo/ratings-v1'])
    await expect(page.getByTestId(`graph-node-${id}`)).toBeAttached();
  const productpage = page.getByTestId('graph-node-wl:bookinfo/productpage-v1');
  await expect(productpage).toHaveAccessibleName(/[1-9][\d.]* (requests|\/s|per second)/);
});

test('the product page renders through the gateway', async ({ mesh, page }) => {
  await page.goto(`${mesh.gateway}/productpage`);
  await expect(page.getByRole('heading', { name: 'The Comedy of Errors' })).toBeVisible();
  await expect(page.getByText('Reviews served by: reviews-v')).toBeVisible();
  await expect(page.getByText('PublisherA')).toBeVisible();
});

test('a trace opens from an edge and shows the matched route', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/graph`);
  await page.getByTestId('graph-edge-wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http').click();
  await page.getByRole('link', { name: 'Open traces' }).click();
  await page.getByTestId('trace-row').first().click();
  await expect(page.getByTestId('span-row').first()).toBeVisible();
  await page.getByTestId('span-row').filter({ hasText: 'productpage reviews:9080' }).first().click();
  await expect(page.getByTestId('span-detail')).toContainText('VirtualService reviews');
});

test('the duration of a span lies beside its name and its bar on a small screen', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1024, height: 700 });
  const span = (spanId: string, parentId: string, fromMs: number, toMs: number): object => ({
    spanId,
    parentId,
    service: 'productpage.bookinfo',
    name: 'productpage.bookinfo.svc.cluster.local:9080/*',
    kind: 'server',
    startUs: 1_700_000_000_000_000 + fromMs * 1_000,
    durationUs: (toMs - fromMs) * 1_000,
    error: false,
    attributes: {},
    resource: {},
    events: [],
  });
  const spans = [span('a', '', 0, 1_000), span('b', 'a', 0, 900), span('c', 'a', 150, 1_000), span('d', 'a', 500, 990), span('e', 'a', 0, 10)];
  await page.route('**/api/v1/traces/*', (route) => route.fulfill({ json: { traceId: 'f'.repeat(32), spans } }));
  await page.goto(`${mesh.url}/traces?trace=${'f'.repeat(32)}&span=a`);
  await expect(page.getByTestId('span-detail')).toBeVisible();
  await expect(page.getByTestId('span-row')).toHaveCount(spans.length);
  for (const row of await page.getByTestId('span-row').all()) {
    const [whole, bar, duration] = [
      await row.boundingBox(),
      await row.locator('.br').boundingBox(),
      await row
        .getByText(/ ms$|s$/)
        .last()
        .boundingBox(),
    ];
    if (whole === null || bar === null || duration === null) throw new Error('nothing is drawn there');
    expect(duration.x).toBeGreaterThanOrEqual(bar.x + bar.width - 1);
    expect(duration.x + duration.width).toBeLessThanOrEqual(whole.x + whole.width);
  }
});

test('what lies over the picture lies beside one another on a small screen', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1024, height: 700 });
  const overlap = async (a: Locator, b: Locator): Promise<boolean> => {
    await expect(a).toBeVisible();
    await expect(b).toBeVisible();
    const [one, other] = [await a.boundingBox(), await b.boundingBox()];
    if (one === null || other === null) throw new Error('nothing is drawn there');
    return one.x < other.x + other.width && other.x < one.x + one.width && one.y < other.y + other.height && other.y < one.y + one.height;
  };
  await page.goto(`${mesh.url}/graph?node=svc:bookinfo/reviews`);
  expect(await overlap(page.getByRole('group', { name: 'Legend' }), page.getByRole('button', { name: 'Zoom out' }))).toBe(false);
  await page.goto(`${mesh.url}/graph?ns=nobody`);
  expect(await overlap(page.getByText('No workloads and no traffic here yet'), page.getByPlaceholder('Hide: idle'))).toBe(false);
  await page.setViewportSize({ width: 1440, height: 900 });
  expect(await overlap(page.getByText('No workloads and no traffic here yet'), page.getByText('Display', { exact: true }))).toBe(false);
});
