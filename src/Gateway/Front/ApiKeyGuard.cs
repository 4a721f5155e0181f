using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>Knows which API keys are valid (§2.3). Keys are kept and compared as hashes, in time that does not depend on the key.</summary>
internal sealed class ApiKeyGuard(GatewayOptions options)
{
    private readonly byte[][] _hashes = [.. options.ApiKeys.Select(Hash)];

    public bool Admits(HttpRequest request)
    {
        if (_hashes.Length == 0 || HttpMethods.IsOptions(request.Method))
            return true;
        if (BearerKey.Of(request) is not { } key)
            return false;

        var presented = Hash(key);
        var found = false;
        foreach (var hash in _hashes)
            found |= CryptographicOperations.FixedTimeEquals(hash, presented);
        return found;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
