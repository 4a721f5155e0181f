namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>Folders of synthetic adapters with several modules, one of them with the narrow output of grouped-query attention.</summary>
internal static class AdapterFolders
{
    internal static readonly (string Path, int DOut, int DIn)[] Modules =
    [
        ("model.layers.0.self_attn.q_proj", 24, 24),
        ("model.layers.0.self_attn.k_proj", 8, 24),
        ("model.layers.1.mlp.down_proj", 24, 40),
    ];

    internal static string[] Write(string root, int count, int families = 2, int rank = 3, double noise = 0.05, int seed = 1)
    {
        string[] folders = [.. Enumerable.Range(0, count).Select(i => Path.Combine(root, $"adapter-{i:D3}"))];
        var perModule = Modules.Select((m, index) =>
            (m.Path, Deltas: Synthetic.Families(seed + (100 * index), count, families, m.DOut, m.DIn, rank, 4, noise))).ToArray();
        for (int i = 0; i < count; i++)
            PeftFiles.Write(folders[i], perModule.Select(m => KeyValuePair.Create(m.Path, m.Deltas[i])));
        return folders;
    }

    /// <summary>Layers of one square module each, of which those chosen hold more noise.</summary>
    internal static string[] WriteLayers(string root, int count, int layers, Func<int, bool> hard)
    {
        string[] folders = [.. Enumerable.Range(0, count).Select(i => Path.Combine(root, $"adapter-{i:D3}"))];
        var perLayer = Enumerable.Range(0, layers).Select(layer =>
        {
            string path = PathOfLayer(layer);
            return (Path: path, Deltas: Synthetic.Families(path.Length + 24, count, 1, 24, 24, 3, 4, hard(layer) ? 0.4 : 0.1));
        }).ToArray();
        for (int i = 0; i < count; i++)
            PeftFiles.Write(folders[i], perLayer.Select(m => KeyValuePair.Create(m.Path, m.Deltas[i])));
        return folders;
    }

    internal static string PathOfLayer(int layer) => $"model.layers.{layer}.self_attn.q_proj";
}
