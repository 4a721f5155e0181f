namespace Eigengate.AdapterCache;

/// <summary>The Lua scripts of folder Scripts; each states its keys, arguments and result in its head.</summary>
internal static class IndexScripts
{
    public static string CommitAdapter { get; } = Read("commit-adapter");

    public static string StageChunk { get; } = Read("stage-chunk");

    public static string RetireWeights { get; } = Read("retire-weights");

    public static string RemoveAdapter { get; } = Read("remove-adapter");

    public static string PutBase { get; } = Read("put-base");

    public static string AnnounceNode { get; } = Read("announce-node");

    private static string Read(string name)
    {
        using var stream = typeof(IndexScripts).Assembly.GetManifestResourceStream($"Scripts/{name}.lua")
            ?? throw new InvalidOperationException($"The script {name} is not part of this assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
