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
  // Typed over everything, with deleted lines and a message shown.
  await page.keyboard.press('Control+a');
  await page.keyboard.type('kind: Foo');
  await expect(editor.locator('.cm-line').first()).toHaveText(/^kind: Foo/);
  const after = await mesh.api('GET', '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices/reviews');
  expect(after.body).toEqual(before.body);
});

test('an object a link leads to is in sight in the tree', async ({ mesh, page }) => {
  await page.setViewportSize({ width: 1_280, height: 420 });
  await page.goto(`${mesh.url}/config?object=WorkloadEntry/bookinfo/reviews-v3`);
  const chosen = page.locator('.tree [aria-current=true]');
  await expect(chosen).toHaveText('reviews-v3');
  await expect(chosen).toBeInViewport({ ratio: 1 });
});

test('a new object without a kind has nothing to apply, and looks like it', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/config`);
  await page.getByRole('button', { name: /new/i }).first().click();
  await expect(page.getByText('Choose a kind above.')).toBeVisible();
  await expect(page.getByTestId('config-apply')).toBeDisabled();
  await expect(page.getByTestId('config-apply')).toHaveClass(/off/);
});

test('a wrong subset is mended by its quick fix, applied, seen in history and undone', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/config?object=VirtualService/bookinfo/reviews`);
  const line = page.locator('.cm-line', { hasText: 'subset: v2' });
  await line.click();
  await page.keyboard.press('End');
  for (const key of ['ArrowLeft', 'ArrowLeft', 'Backspace']) await page.keyboard.press(key);
  await page.keyboard.type('4');
  const problem = page.getByTestId('problem-row').first();
  await expect(problem).toContainText('has no subset v4');
  await expect(page.getByTestId('config-apply')).toBeDisabled();
  await problem.getByRole('button', { name: 'Use v3' }).click();
  await expect(page.getByRole('img', { name: /v3 goes from 0 to 10 percent/ })).toBeVisible();
  await page.getByTestId('config-apply').click();
  await expect(page.getByText(/Applied as revision/)).toBeVisible();
  // Under the toast nothing could be clicked.
  await page.getByRole('button', { name: 'Dry run' }).click({ timeout: 2_000 });
  const object = '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices/reviews';
  expect(JSON.stringify((await mesh.api('GET', object)).body)).toContain('"subset":"v3"');
  await page.getByRole('button', { name: 'History' }).click();
  await page.locator('.hist .hr').first().getByRole('button', { name: 'Undo' }).click();
  await expect.poll(async () => JSON.stringify((await mesh.api('GET', object)).body)).toContain('"subset":"v2"');
});

test('an object somebody else changed meanwhile shows both texts, and mine only wins when told', async ({ mesh, page }) => {
  await page.goto(`${mesh.url}/config?object=VirtualService/bookinfo/ratings`);
  const editor = page.locator('.cm-content');
  await expect(editor).toContainText('ratings');
  // Without a draft the editor would follow them.
  await editor.click();
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('# mine\n');
  await expect(page.getByTestId('config-apply')).toBeEnabled();
  const path = '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices/ratings';
  const theirs = (await mesh.api('GET', path)).body as { metadata: { labels?: Record<string, string> } };
  theirs.metadata.labels = { team: 'theirs' };
  expect((await mesh.api('PUT', path, theirs)).status).toBe(200);
  await page.getByTestId('config-apply').click();
  const refused = page.getByRole('alert');
  await expect(refused).toContainText('Theirs, as stored now');
  await expect(refused).toContainText('team');
  await refused.getByRole('button', { name: 'Apply mine' }).click();
  await expect(refused).toBeHidden();
  expect(JSON.stringify((await mesh.api('GET', path)).body)).not.toContain('theirs');
});
