import type { Locator } from '@playwright/test';
import { expect, test } from '../fixtures/mesh.ts';

test.describe.configure({ mode: 'serial' });

test('figures of versions stand under their heads', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/services/bookinfo/reviews?tab=Traffic`);
  const table = page.getByRole('table').filter({ hasText: 'Compare' });
  const rights = (cells: Locator): Promise<number[]> =>
    cells.evaluateAll((all) =>
      all
        .map((e) => {
          const range = document.createRange();
          range.selectNodeContents(e);
          return Math.round(range.getBoundingClientRect().right);
        })
        .slice(1),
    );
  const errors = table.getByRole('row').filter({ hasText: 'Errors' }).getByRole('cell');
  // Which version has requests is up to the journeys before.
  await expect(errors).toHaveText(['Errors', ...['v1', 'v2', 'v3'].map(() => /^(–|[\d.]+ %)$/)]);
  expect(await rights(errors)).toEqual(await rights(table.getByRole('columnheader')));
});

test('dragging weights to 50/50 moves the requests, counted at the backends; undo takes it back', async ({ mesh, page, context }) => {
  await mesh.setLoad(200);
  await page.goto(`${mesh.url}/graph?node=svc:bookinfo/reviews`);
  const second = await context.newPage();
  await second.goto(`${mesh.url}/graph?node=svc:bookinfo/reviews`);
  const slider = page.getByTestId('split-slider-v2');
  await expect(slider).toHaveAttribute('aria-valuenow', '10');
  await expect(second.getByTestId('split-slider-v2')).toHaveAttribute('aria-valuenow', '10');

  const track = await slider.boundingBox();
  if (track === null) throw new Error('the slider is not on screen');
  const y = track.y + track.height / 2;
  await page.mouse.move(track.x + track.width * 0.1, y);
  await page.mouse.down();
  await page.mouse.move(track.x + track.width * 0.5, y, { steps: 8 });
  await page.mouse.up();
  await expect(slider).toHaveAttribute('aria-valuenow', '50');

  // Applied on release. From the last ACK on, requests are counted where they arrive: 3 s of the load on an idle machine.
  await expect(page.getByTestId('propagation-row').first()).toContainText(/ms/);
  const before = await mesh.received();
  await expect
    .poll(
      async () => {
        const now = await mesh.received();
        const v1 = (now['reviews-v1'] ?? 0) - (before['reviews-v1'] ?? 0);
        const v2 = (now['reviews-v2'] ?? 0) - (before['reviews-v2'] ?? 0);
        return v1 + v2 < 600 ? 'counting' : Math.abs((100 * v2) / (v1 + v2) - 50) <= 5 ? 'within 5 points' : `${v1}/${v2}`;
      },
      { timeout: 30_000 },
    )
    .toBe('within 5 points');
  await expect(second.getByTestId('split-slider-v2')).toHaveAttribute('aria-valuenow', '50');

  await page.getByTestId('split-undo').click();
  await expect(slider).toHaveAttribute('aria-valuenow', '10');
  await expect(second.getByTestId('split-slider-v2')).toHaveAttribute('aria-valuenow', '10');
  await mesh.setLoad(20);
});

test('200 changes of weights under 200 requests a second lose none', async ({ mesh }) => {
  await mesh.setLoad(200);
  const before = await mesh.load();
  for (let i = 0; i < 200; i += 1) {
    const { body } = await mesh.api('GET', '/api/v1/traffic-split/bookinfo/reviews');
    const { resourceVersion } = body as { resourceVersion: string };
    const v2 = 1 + (i % 99);
    const { status } = await mesh.api('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 100 - v2, v2 }, resourceVersion });
    expect(status).toBe(200);
  }
  // Some more of the load must have gone through after the last change.
  const changed = await mesh.load();
  await expect.poll(async () => (await mesh.load()).sent, { timeout: 60_000 }).toBeGreaterThan(changed.sent + 400);
  const after = await mesh.load();
  expect(after.failed - before.failed, JSON.stringify(after.failures)).toBe(0);
  expect(after.sent - before.sent).toBeGreaterThan(400);
  await mesh.setLoad(20);
});

test('with the server killed for 20 s no request is lost, and the graph resumes', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/graph`);
  await expect(page.getByTestId('graph-node-wl:bookinfo/productpage-v1')).toBeAttached();
  await mesh.setLoad(100);
  const before = await mesh.load();
  const until = Date.now() + 20_000;
  while (Date.now() < until) {
    // The supervisor starts it again each time; it is not let up.
    try {
      process.kill(mesh.pid('server'), 'SIGKILL');
    } catch {
      // between two lives
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await expect.poll(async () => (await mesh.api('GET', '/healthz').catch(() => ({ status: 0 }))).status, { timeout: 30_000 }).toBe(200);
  const after = await mesh.load();
  expect(after.failed - before.failed, JSON.stringify(after.failures)).toBe(0);
  expect(after.sent - before.sent).toBeGreaterThan(1_500);
  await expect(page.getByTestId('graph-node-wl:bookinfo/productpage-v1')).toHaveAccessibleName(/[1-9][\d.]* (requests|\/s|per second)/, { timeout: 30_000 });
  await mesh.setLoad(20);
});
