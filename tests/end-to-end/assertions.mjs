// A token server that knows one client by its key alone: the certified library `oidc-provider`, with
// its addresses where Entra has them. What it takes, whoever reads RFC 7523 as its authors do takes.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, tenant, client, certificate, scope] = process.argv.slice(2);
const key = createPublicKey(readFileSync(certificate)).export({ format: 'jwk' });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: client,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'PS256',
      jwks: { keys: [{ ...key, alg: 'PS256', use: 'sig' }] },
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope,
    },
  ],
  scopes: [scope],
  clientAuthMethods: ['private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['PS256'] },
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  routes: { token: `/${tenant}/oauth2/v2.0/token` },
});
provider.use((context, next) => {
  if (context.path === `/${tenant}/v2.0/.well-known/openid-configuration`) {
    context.path = '/.well-known/openid-configuration';
  }
  return next();
});
provider.listen(Number(port), '127.0.0.1');
