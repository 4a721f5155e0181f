namespace Eigengate.OpenAiApi;

/// <summary><c>GET /version</c>.</summary>
public sealed record VersionDocument(string Version);

/// <summary><c>GET /load</c>: generation requests in flight.</summary>
public sealed record LoadDocument(int ServerLoad);

/// <summary>Answer to a path or method that does not exist: the usual error, and <c>detail</c> for clients of other servers (§1).</summary>
public sealed record UnmatchedBody(ErrorDetail Error, string Detail);
