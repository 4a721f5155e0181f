using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Front;

/// <summary>The API key that a request presents (§2.3).</summary>
internal static class BearerKey
{
    private const string Scheme = "Bearer ";

    /// <summary>Null when there is none.</summary>
    public static string? Of(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : null;
    }
}
