import { expect, test } from '../fixtures/mesh.ts';

const PAGES = [
  '/overview',
  '/graph',
  '/services',
  '/workloads',
  '/services/bookinfo/reviews',
  '/services/bookinfo/reviews?tab=Traffic',
  '/services/bookinfo/reviews?tab=Requests',
  '/traces',
  '/config?object=VirtualService/bookinfo/reviews',
  '/security',
  '/proxies',
];

for (const [device, width, height] of [
  ['phone', 390, 844],
  ['small tablet', 768, 1024],
  ['small laptop', 1024, 768],
] as const)
  test(`on a ${device} no page is wider than the screen`, async ({ mesh, page }) => {
    await page.setViewportSize({ width, height });
    for (const path of PAGES) {
      await page.goto(`${mesh.url}${path}`);
      await expect(page.getByRole('main')).toBeVisible();
      await expect(page.getByText('Loading…')).toHaveCount(0);
      const wider = await page.evaluate(() =>
        ['html', '.bar', '.nav', 'main', '.page', '.dth'].flatMap((selector) =>
          [...document.querySelectorAll(selector)].filter((e) => e.scrollWidth > e.clientWidth).map((e) => `${selector} ${e.scrollWidth} > ${e.clientWidth}`),
        ),
      );
      expect([path, wider]).toEqual([path, []]);
      await expect(page.getByRole('navigation').getByRole('link', { name: 'Proxies' })).toBeInViewport({ ratio: 1 });
      await expect(page.getByRole('button', { name: 'Switch theme' })).toBeInViewport({ ratio: 1 });
    }
  });

test('on a small laptop the tables of a service fit', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1024, height: 768 });
  await page.goto(`${mesh.url}/services/bookinfo/reviews`);
  await expect(page.getByRole('columnheader', { name: 'Caller' }).first()).toBeVisible();
  expect(await page.locator('.dtw').evaluateAll((tables) => tables.map((t) => t.scrollWidth - t.clientWidth))).toEqual([0, 0, 0]);
});
