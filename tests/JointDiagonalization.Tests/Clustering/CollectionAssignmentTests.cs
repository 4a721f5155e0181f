using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests.Clustering;

public sealed class CollectionAssignmentTests
{
    private const int Adapters = 45, Families = 3;
    private static readonly string[] Paths = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.2.self_attn.q_proj"];

    [Theory]
    [InlineData(2048, 512L << 20)] // everything
    [InlineData(2048, 1)] // one module
    [InlineData(18, 1)] // one module of eighteen adapters; the others are placed
    public void A_sample_finds_the_planted_families(int adapters, long bytes)
    {
        using var folder = new TemporaryFolder();
        string[] folders = WriteFamilies(folder.Path, _ => Paths);
        ClusterAssignment assignment = Run(folders, adapters, bytes);
        for (int i = 0; i < Adapters; i++)
            Assert.Equal(assignment.ClusterOf[i % Families], assignment.ClusterOf[i]);
        Assert.Equal(Families, assignment.ClusterOf.Distinct().Count());
    }

    [Fact]
    public void Adapters_without_any_sampled_module_add_one_of_theirs()
    {
        using var folder = new TemporaryFolder();
        string[] folders = WriteFamilies(folder.Path, i => [Paths[i % 2]]);
        ClusterAssignment assignment = Run(folders, 2048, 1);
        // Half of each family has one module only, half the other: both must be looked at to tell the families apart.
        for (int parity = 0; parity < 2; parity++)
        {
            int[] members = [.. Enumerable.Range(0, Adapters).Where(i => i % 2 == parity)];
            Assert.True(members.Select(i => (i % Families, assignment.ClusterOf[i])).Distinct().Count() <= Families + 1);
        }
    }

    private static ClusterAssignment Run(string[] folders, int adapters, long bytes)
    {
        AdapterCollection collection = AdapterCollection.Open(folders, null, strict: true, null, default);
        var options = new ClusterOptions { Clusters = Families, RankU = 4, RankV = 4, Seed = 3 };
        return new CollectionAssignment(collection, options, CPU, null, default) { MaxSampledAdapters = adapters, SampleBytes = bytes }.Run();
    }

    private static string[] WriteFamilies(string root, Func<int, string[]> modulesOf)
    {
        LoraDelta[][] deltas = [.. Paths.Select((_, m) => Synthetic.Families(40 + m, Adapters, Families, 24, 20, 2, 3, 0.1))];
        return [.. Enumerable.Range(0, Adapters).Select(i =>
        {
            string folder = System.IO.Path.Combine(root, $"adapter-{i:D3}");
            PeftFiles.Write(folder, modulesOf(i).Select(path => KeyValuePair.Create(path, deltas[Array.IndexOf(Paths, path)][i])));
            return folder;
        })];
    }
}
