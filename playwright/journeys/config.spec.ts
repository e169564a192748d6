import { expect, test } from '../fixtures/mesh.ts';

test('a YAML error is marked at its line and refused', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/config?object=VirtualService/bookinfo/reviews`);
  const editor = page.locator('.cm-content');
  await expect(editor).toContainText('VirtualService');
  const before = await mesh.api('GET', '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices/reviews');
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type('\n  htttp: []');
  await expect(page.locator('.cm-lint-marker-error, .cm-lintRange-error').first()).toBeVisible();
  await expect(page.getByTestId('problem-row').first()).toContainText('htttp');
  await expect(page.getByTestId('config-apply')).toBeDisabled();
  const after = await mesh.api('GET', '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices/reviews');
  expect(after.body).toEqual(before.body);
});
