// A token server and an API that takes its tokens: the certified library `oidc-provider`, with one
// address that asks it whether the token that came is good.
import Provider from 'oidc-provider';

const [port, secret] = process.argv.slice(2);
const client = (id, more) => ({
  client_id: id,
  client_secret: secret,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  ...more,
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client('platform', { scope: 'read' }),
    client('in-body', { token_endpoint_auth_method: 'client_secret_post' }),
    client('no-grant', { grant_types: ['authorization_code'], redirect_uris: ['https://example.com'], response_types: ['code'] }),
  ],
  scopes: ['read', 'write'],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
});
provider.use(async (context, next) => {
  if (!context.path.startsWith('/api')) return next();
  const sent = (context.get('authorization').match(/^Bearer (.+)$/) ?? [])[1];
  const token = sent && (await provider.ClientCredentials.find(sent));
  const wanted = context.path === '/api/read' ? 'read' : undefined;
  if (!sent) {
    context.status = 401;
    context.set('www-authenticate', 'Bearer realm="api"');
  } else if (!token) {
    context.status = 401;
    context.set('www-authenticate', 'Bearer realm="api", error="invalid_token", error_description="unknown token"');
  } else if (wanted && !(token.scope ?? '').split(' ').includes(wanted)) {
    context.status = 403;
    context.set('www-authenticate', `Bearer realm="api", error="insufficient_scope", scope="${wanted}"`);
  } else {
    context.body = { client: token.clientId, state: 'active' };
  }
});
provider.listen(Number(port), '127.0.0.1');
