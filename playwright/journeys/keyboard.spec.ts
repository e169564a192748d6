import { expect, test } from '../fixtures/mesh.ts';

test('the tools of the graph come before its nodes', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/graph`);
  await expect(page.getByTestId('graph-node-wl:bookinfo/productpage-v1')).toBeAttached();
  await page.getByRole('button', { name: 'Switch theme' }).focus();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('button', { name: 'Versions' })).toBeFocused();
  await page.getByRole('textbox', { name: 'Hide' }).focus();
  await page.keyboard.press('Tab');
  await expect(page.locator(':focus')).toHaveAccessibleName(/^http traffic from .* to /);
});

test('the list of traces is one stop; arrows go through it', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/traces`);
  const rows = page.getByTestId('trace-row');
  await rows.nth(1).click();
  await expect(page.getByTestId('span-row').first()).toBeVisible();
  await page.getByRole('combobox', { name: 'Order' }).focus();
  await page.keyboard.press('Tab');
  await expect(rows.nth(1)).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(rows.nth(2)).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await expect(rows.nth(0)).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(page.locator(':focus')).not.toHaveAttribute('data-testid', 'trace-row');
});

test('Escape, then Tab leads out of the editor', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/config?object=VirtualService/bookinfo/reviews`);
  const editor = page.getByRole('textbox', { name: 'YAML' });
  await editor.focus();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Tab');
  await expect(editor).not.toBeFocused();
});
