namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>What a manifest must satisfy beyond being JSON of the right fields.</summary>
internal static class ManifestCheck
{
    internal static void Require(BundleManifest manifest, byte[] json, string path)
    {
        void Check(bool holds, string problem)
        {
            if (!holds)
                throw new BundleFormatException(path, problem);
        }

        Check(manifest.Format == BundleManifest.FormatName, $"format is '{manifest.Format}'; '{BundleManifest.FormatName}' was expected");
        Check(
            manifest.Version is >= BundleManifest.OldestVersion and <= BundleManifest.FormatVersion,
            $"version is {manifest.Version}; this reader knows {BundleManifest.OldestVersion} to {BundleManifest.FormatVersion}");
        Check(CompressionMethods.Named(manifest.Method) is not null, $"method is '{manifest.Method}', which this reader does not know");
        Check(manifest.Rank.Length == 2, $"rank has {manifest.Rank.Length} entries; [r_U, r_V] was expected");
        Check(manifest.Residual >= 0, $"residual is {manifest.Residual}; 0 or a positive rank was expected");
        Check(manifest.Dtype is "F32" or "BF16" or "F16", $"dtype is '{manifest.Dtype}'; F32, BF16 or F16 was expected");
        Check(manifest.CoreDtype is "F32" or "BF16" or "F16" or "I8", $"core_dtype is '{manifest.CoreDtype}'; F32, BF16, F16 or I8 was expected");
        string generation = BundleManifest.GenerationOf(json, manifest.Generation);
        Check(manifest.Generation == generation, $"generation is {manifest.Generation}; the contents give {generation}: the manifest was altered");

        var modules = manifest.Modules.Select(m => m.Path).ToHashSet(StringComparer.Ordinal);
        Check(modules.Count == manifest.Modules.Length, "a module is listed twice");
        Check(
            manifest.Bases.Select(b => b.Cluster).SequenceEqual(Enumerable.Range(0, manifest.Clusters)),
            $"bases are listed for clusters {string.Join(", ", manifest.Bases.Select(b => b.Cluster))}; 0 to {manifest.Clusters - 1} were expected");
        foreach (BundleBasis basis in manifest.Bases)
        {
            Check(IsPlainName(basis.File), $"'{basis.File}' is not a plain file name");
            foreach (var (module, rank) in basis.Ranks)
            {
                Check(modules.Contains(module), $"{basis.File}: the module {module} is not in the list of modules");
                Check(rank is [> 0, > 0], $"{basis.File}: the ranks of {module} are [{string.Join(", ", rank)}]; two positive numbers were expected");
            }
        }

        var cores = manifest.Cores.Select(c => c.File).ToHashSet(StringComparer.Ordinal);
        foreach (string file in cores)
            Check(IsPlainName(file), $"'{file}' is not a plain file name");
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (BundleAdapter adapter in manifest.Adapters)
        {
            Check(ids.Add(adapter.Id), $"adapter '{adapter.Id}' is listed twice");
            Check(
                adapter.Cluster >= 0 && adapter.Cluster < manifest.Clusters,
                $"adapter '{adapter.Id}' is in cluster {adapter.Cluster}; the bundle has {manifest.Clusters}");
            Check(cores.Contains(adapter.CoresFile), $"adapter '{adapter.Id}' has its cores in '{adapter.CoresFile}', which is not listed");
        }
    }

    private static bool IsPlainName(string file) => file.Length > 0 && file is not ("." or "..") && Path.GetFileName(file) == file;
}
