using System.Globalization;
using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Runs;

/// <summary>Collects what the operator should know about a run beside its numbers.</summary>
internal sealed class RunNotes(CompressorOptions options, IProgress<CompressionProgress>? progress)
{
    private readonly List<string> _notes = [];

    internal IReadOnlyList<string> All => _notes;

    /// <summary>Says what became of an unfinished run, if there was one.</summary>
    internal void Found(RunFolder run, int modules)
    {
        if (run.Discarded)
            Tell("an unfinished run of other adapters, settings or another build was removed", 0, modules);
        else if (run.FinishedModules is > 0 and var finished)
            Tell(string.Create(CultureInfo.InvariantCulture, $"continued an unfinished run: {finished} of {modules} modules were done"), finished, modules);
    }

    /// <summary>Says where the adapters need less than was asked for (spec/joint-diagonalization.md §9).</summary>
    internal void Wrote(BundleManifest manifest, AdapterCollection collection)
    {
        if (manifest.Clusters < options.Clusters)
            _notes.Add(string.Create(CultureInfo.InvariantCulture, $"{options.Clusters} clusters were asked for; {collection.Adapters.Count} adapters fill {manifest.Clusters}"));
        if (CompressionMethods.IsJoint(options.Method) && LargestStack(manifest) is var stack && stack <= Math.Min(options.RankU, options.RankV))
        {
            _notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"the adapters of a cluster have at most {stack} directions together, and the basis rank is {options.RankU}x{options.RankV}: full cores lose nothing but rounding"));
        }
    }

    /// <summary>Largest k·l of any cluster: the sum of its adapters' LoRA ranks.</summary>
    private static int LargestStack(BundleManifest manifest) => manifest.Adapters.GroupBy(a => a.Cluster).Max(cluster => cluster.Sum(a => a.Rank));

    private void Tell(string note, int done, int total)
    {
        _notes.Add(note);
        progress?.Report(new CompressionProgress(CompressionStage.Resuming, done, total, note));
    }
}
