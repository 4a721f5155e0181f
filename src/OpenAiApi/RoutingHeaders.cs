namespace Eigengate.OpenAiApi;

/// <summary>
/// What the gateway tells a node about a request beside the untouched body. The gateway sets them on every request and
/// drops whatever a client sent under these names; a node obeys them before the body's <c>model</c>.
/// </summary>
public static class RoutingHeaders
{
    /// <summary>Id of the resolved adapter, percent-encoded as by <see cref="Uri.EscapeDataString(string)"/>; absent for the base.</summary>
    public const string Adapter = "X-Eigengate-Adapter";

    /// <summary>The adapter version pinned at admission (spec/http-api.md §4); absent for the base.</summary>
    public const string AdapterVersion = "X-Eigengate-Adapter-Version";

    /// <summary>Whose request it is, see <see cref="CallerId"/>; on every generation request.</summary>
    public const string Caller = "X-Eigengate-Caller";

    /// <summary>The client's request id, or the one made for it (§2.1).</summary>
    public const string RequestId = "X-Request-Id";
}
