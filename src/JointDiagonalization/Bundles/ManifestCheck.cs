namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>What a manifest must satisfy beyond being JSON of the right fields.</summary>
internal static class ManifestCheck
{
    internal static void Require(BundleManifest manifest, string path)
    {
        void Check(bool holds, string problem)
        {
            if (!holds)
                throw new BundleFormatException(path, problem);
        }

        Check(manifest.Format == BundleManifest.FormatName, $"format is '{manifest.Format}'; '{BundleManifest.FormatName}' was expected");
        Check(manifest.Version == BundleManifest.FormatVersion, $"version is {manifest.Version}; this reader knows {BundleManifest.FormatVersion}");
        Check(CompressionMethods.IsKnown(manifest.Method), $"method is '{manifest.Method}', which this reader does not know");
        Check(manifest.Rank.Length == 2, $"rank has {manifest.Rank.Length} entries; [r_U, r_V] was expected");
        string generation = manifest.ComputeGeneration();
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
