// SPDX-License-Identifier: Apache-2.0
// Who are you: an e-mail address with a password where one is configured, or an API key.

import { useEffect, useState } from 'preact/hooks';

import { ApiError, login, loginMethods, messageOf, sessionExpired } from '../api/client';
import { useStore } from '../store';
import { Button, Note, Segmented, TextField } from '../ui';

type Way = 'password' | 'key';

export function LoginPage() {
  const expired = useStore(sessionExpired);
  const [hasPassword, setHasPassword] = useState<boolean>();
  const [way, setWay] = useState<Way>('key');
  const [email, setEmail] = useState(''), [password, setPassword] = useState(''), [key, setKey] = useState('');
  const [busy, setBusy] = useState(false), [error, setError] = useState<string>();

  useEffect(() => {
    document.title = 'Sign in · Holm';
    loginMethods().then((m) => {
      setHasPassword(m.password);
      if (m.password) setWay('password');
    }, () => setHasPassword(false));
  }, []);

  const submit = async (e: Event) => {
    e.preventDefault();
    if (busy) return;
    if (way === 'key' ? !key.trim() : !email.trim() || !password) {
      setError(way === 'key' ? 'Enter an API key.' : 'Enter your e-mail address and password.');
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      await login(way === 'key' ? { apiKey: key.trim() } : { email: email.trim(), password });
    } catch (err) {
      setError(explain(err, way));
      setBusy(false);
    }
  };

  return (
    <main class="login">
      <form class="login-card" onSubmit={submit} noValidate>
        <div class="login-brand"><img src="/favicon.svg" width="36" height="36" alt="" /><h1>Sign in to Holm</h1></div>
        {expired && <Note tone="warn">Your session has ended. Sign in again to go on where you were.</Note>}
        {hasPassword && (
          <Segmented<Way> label="How to sign in" value={way} onInput={(w) => { setWay(w); setError(undefined); }}
            options={[{ value: 'password', label: 'E-mail' }, { value: 'key', label: 'API key' }]} />
        )}
        {way === 'password' ? (
          <>
            <TextField label="E-mail address" type="email" name="email" autocomplete="username" value={email} onInput={setEmail} autofocus />
            <TextField label="Password" type="password" name="password" autocomplete="current-password" value={password} onInput={setPassword} error={error} />
          </>
        ) : (
          <TextField key="key" label="API key" type="password" name="apiKey" autocomplete="off" value={key} onInput={setKey} error={error} autofocus
            hint={<>The first one is in <code>admin.key</code> in the daemon’s data directory; <code>holm key create</code> makes more.</>} />
        )}
        <Button type="submit" variant="primary" busy={busy}>Sign in</Button>
        <p class="login-links"><a href="/docs">Documentation</a><a href="/swagger">API explorer</a></p>
      </form>
    </main>
  );
}

function explain(e: unknown, way: Way): string {
  if (!(e instanceof ApiError)) return messageOf(e);
  if (e.status === 401) return way === 'key' ? 'This key is not valid, or has been revoked.' : 'The e-mail address or the password is wrong.';
  if (e.status === 429) return `Too many attempts. Try again ${e.retryAfterS ? `in ${e.retryAfterS} s` : 'later'}.`;
  return e.message;
}
