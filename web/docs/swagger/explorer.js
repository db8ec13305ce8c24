// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Swagger UI over the daemon's own documents, one at a time. Calls go to this daemon only: with the session when one
// is signed in (the browser adds the cookie), or with the key given to "Authorize", which is forgotten with the page.

/** @typedef {any} Json */

/** @typedef {{name: string, title: string, url: string}} Api */

const NAMES = new Map(Object.entries({ native: 'Native', rds: 'run-dat-sheesh', runner: 'Runner', server: 'Server' }));

/** @param {Api[]} apis @param {Api} current */
function showApis(apis, current) {
  for (const api of apis) {
    const a = document.createElement('a');
    a.href = `?api=${encodeURIComponent(api.name)}`;
    a.textContent = NAMES.get(api.name) ?? api.title;
    if (api === current) a.setAttribute('aria-current', 'page');
    document.getElementById('apis')?.append(a);
  }
}

// Says with what calls go.
async function showWho() {
  const who = document.getElementById('who');
  if (!who) return;
  const res = await fetch('/rds/auth/me').catch(() => null);
  const me = res?.ok ? await res.json() : null;
  if (me) {
    who.textContent = `Signed in as ${me.email || me.accountName}: calls go with this session.`;
    return;
  }
  const login = document.createElement('a');
  login.href = `/login?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`;
  login.textContent = 'sign in';
  who.append('Nobody is signed in: give an API key to Authorize, or ', login, ' first.');
}

// Swagger UI's own dark colours follow a class.
function followTheme() {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const fit = () => {
    const chosen = document.documentElement.dataset.theme;
    document.documentElement.classList.toggle('dark-mode', chosen ? chosen === 'dark' : system.matches);
  };
  system.addEventListener('change', fit);
  fit();
}

/** @param {Json} spec Its calls are grouped by what they are about; a document's tags only tell dialects apart. */
function group(spec) {
  delete spec.tags;
  for (const [path, item] of Object.entries(spec.paths ?? {})) {
    const about = path.split('/').find((p) => p && !/^(rds|native|api|v\d+)$/.test(p)) ?? 'index';
    for (const op of Object.values(/** @type {Json} */ (item))) if (op?.responses) op.tags = [about];
  }
  return spec;
}

/** @param {string} message */
function fail(message) {
  const p = document.createElement('p');
  p.className = 'who';
  p.role = 'alert';
  p.textContent = `${message} Load the page again to try once more.`;
  document.getElementById('explorer')?.replaceChildren(p);
}

/** @param {string} address @returns {Promise<Json>} */
async function load(address) {
  const res = await fetch(address).catch(() => null);
  if (res?.ok) return res.json();
  throw new Error(`${address} could not be loaded${res ? `: the daemon answered ${res.status}` : ''}.`);
}

async function start() {
  /** @type {Api[]} */
  const apis = (await load('/openapi')).documents;
  const wanted = new URLSearchParams(location.search).get('api') ?? 'native';
  const current = apis.find((a) => a.name === wanted) ?? apis[0];
  showApis(apis, current);
  const spec = group(await load(current.url));
  const { SwaggerUIBundle } = /** @type {Json} */ (window);
  SwaggerUIBundle({
    spec,
    domNode: document.getElementById('explorer'),
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    filter: true,
    persistAuthorization: false,
    validatorUrl: null, // it would ask a host outside
  });
}

followTheme();
start().catch((e) => fail(e.message));
void showWho();
