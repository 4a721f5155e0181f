using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Eigengate.OpenAiApi;

/// <summary>
/// Whose request it is, for fair shares: the API key's owner, or without keys the client's network address. What clients say about
/// themselves in the body (<c>user</c>) is ignored (spec/http-api.md §5.1): whoever made up many names would get many shares.
/// </summary>
public static class CallerId
{
    /// <summary>Longest id that a node takes from the header.</summary>
    public const int MaxLength = 64;

    private const int KeyDigits = 16;
    private const int Ipv6NetworkBytes = 8;

    /// <summary>The same on every gateway; the key cannot be read from it, nor is it the hash that keys are checked with.</summary>
    public static string OfKey(string key) =>
        "key-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("caller of " + key)))[..KeyDigits];

    /// <summary>An IPv4 address, or the /64 network of an IPv6 one, of which one host has as many as it likes.</summary>
    public static string OfAddress(IPAddress? address)
    {
        if (address is null)
            return "local";
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        return address.AddressFamily == AddressFamily.InterNetworkV6
            ? "net-" + Convert.ToHexStringLower(address.GetAddressBytes().AsSpan(0, Ipv6NetworkBytes))
            : $"ip-{address}";
    }

    public static bool IsValid(string? id) => id is { Length: > 0 and <= MaxLength } && id.All(c => c is > ' ' and <= '~');
}
