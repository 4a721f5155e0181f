using CsCheck;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests.Clustering;

public sealed class AdapterClustererTests
{
    private const int Count = 24;

    [Theory]
    [InlineData(2, 0.1)]
    [InlineData(3, 0.2)]
    [InlineData(4, 0.3)]
    public void Planted_clusters_are_recovered(int families, double noise)
    {
        int[] planted = Planted(families);
        using var modules = new PlantedModules(planted, families, noise);
        ClusterAssignment assignment = Assign(modules.Factors, families);
        Assert.True(SamePartition(planted, assignment.ClusterOf), string.Join(",", assignment.ClusterOf));
    }

    [Fact]
    public void Leave_one_out_moves_repair_a_wrong_start()
    {
        // The balanced start mixes the families completely; own errors as fitted would keep everybody where he is.
        int[] planted = Planted(2);
        using var modules = new PlantedModules(planted, 2, 0.1);
        using var fits = new ClusterFits(
            modules.Factors, [.. Enumerable.Range(0, Count).Select(i => i < Count / 2 ? planted[i] : 1 - planted[i])], 2,
            new FitOptions { RankU = 5, RankV = 5, Iterations = 3 }, default);
        fits.FitAll();
        var (errors, ownLeftOut) = fits.Errors();
        int wantsToMove = Enumerable.Range(0, Count).Count(i => errors[i, 1 - fits.Assignment[i]] < ownLeftOut[i]);
        Assert.True(wantsToMove > 0);
        Assert.True(SamePartition(planted, Assign(modules.Factors, 2).ClusterOf));
    }

    [Fact]
    public void A_given_start_is_repaired_without_renumbering_its_clusters()
    {
        int[] planted = Planted(2);
        using var modules = new PlantedModules(planted, 2, 0.1);
        // The family of number 0 is called 1, and one adapter is in the wrong one.
        int[] start = [.. planted.Select(p => 1 - p)];
        start[5] = 1 - start[5];
        var clusterer = new AdapterClusterer(new ClusterOptions { Clusters = 2, RankU = 5, RankV = 5, Start = start, MaxRounds = 3 });
        ClusterAssignment assignment = clusterer.Assign(Count, modules.Factors);
        Assert.Equal(planted.Select(p => 1 - p), assignment.ClusterOf);
        Assert.Equal("given", assignment.Start);
        Assert.True(assignment.Objective < assignment.Trace[0]);
    }

    [Fact]
    public void A_rejected_move_leaves_everything_as_it_was_and_an_accepted_one_lowers_the_total()
    {
        int[] planted = Planted(2);
        using var modules = new PlantedModules(planted, 2, 0.1);
        int[] oneWrong = [.. planted];
        oneWrong[5] = 1 - oneWrong[5];
        using var fits = new ClusterFits(modules.Factors, oneWrong, 2, new FitOptions { RankU = 4, RankV = 4, Iterations = 3 }, default);
        fits.FitAll();
        double before = fits.Objective;
        int[] worse = [.. oneWrong];
        worse[7] = 1 - worse[7];
        Assert.False(fits.TryMove(worse));
        Assert.Equal(before, fits.Objective);
        Assert.Equal(oneWrong, fits.Assignment);
        Assert.True(fits.TryMove(planted));
        Assert.True(fits.Objective < before);
    }

    [Fact]
    public void The_objective_never_rises_across_accepted_rounds() =>
        Gen.Select(Gen.Int[0, 1000], Gen.Int[2, 4]).Sample(
            (seed, clusters) =>
            {
                using CanonicalFactors module = Synthetic.Canonical(Synthetic.Unstructured(seed, 10, 12, 10, 2), ScalarType.Float32);
                ClusterAssignment assignment = Assign([module], clusters, rank: 3);
                Assert.Equal(assignment.Trace.OrderDescending(), assignment.Trace);
                Assert.Equal(assignment.Trace[^1], assignment.Objective);
                Assert.Equal(Enumerable.Range(0, clusters), assignment.ClusterOf.Distinct().Order());
            },
            iter: 10,
            threads: 1);

    [Fact]
    public void As_many_clusters_as_adapters_equal_separate_decompositions() // §10.13
    {
        LoraDelta[] deltas = Synthetic.Unstructured(3, 5, 10, 9, 4);
        using CanonicalFactors module = Synthetic.Canonical(deltas);
        ClusterAssignment assignment = Assign([module], 5, rank: 2);
        Assert.Equal([0, 1, 2, 3, 4], assignment.ClusterOf);
        double expected = deltas.Sum(d => Dense.SingularValues(Dense.Unit(d)).Skip(2).Sum(s => s * s));
        Assert.Equal(expected, assignment.Objective, 1e-6);
    }

    [Fact]
    public void More_clusters_than_adapters_become_one_each()
    {
        using CanonicalFactors module = Synthetic.Canonical(Synthetic.Unstructured(3, 3, 10, 9, 2));
        ClusterAssignment assignment = Assign([module], 8);
        Assert.Equal(3, assignment.Clusters);
        Assert.Equal([0, 1, 2], assignment.ClusterOf);
    }

    [Fact]
    public void Adapters_without_any_product_go_to_cluster_0_and_missing_modules_cost_nothing()
    {
        LoraDelta[] deltas = Synthetic.Families(1, 8, 2, 16, 16, 2, 3, 0.05);
        // Adapter 8 has no product at all; adapter 7 only has the second module.
        using CanonicalFactors first = CanonicalFactors.From([.. deltas.Take(7).Select((d, i) => (i, d))]);
        using CanonicalFactors second = CanonicalFactors.From([.. deltas.Select((d, i) => (i, d))]);
        ClusterAssignment assignment = new AdapterClusterer(new ClusterOptions { Clusters = 2, RankU = 3, RankV = 3 }).Assign(9, [first, second]);
        Assert.Equal([0, 1, 0, 1, 0, 1, 0, 1, 0], assignment.ClusterOf);
    }

    [Fact]
    public void The_same_seed_gives_the_same_assignment_with_any_thread_count()
    {
        using var modules = new PlantedModules(Planted(3), 3, 0.6);
        int before = get_num_threads();
        try
        {
            set_num_threads(1);
            ClusterAssignment one = Assign(modules.Factors, 3);
            set_num_threads(2);
            ClusterAssignment two = Assign(modules.Factors, 3);
            Assert.Equal(one.ClusterOf, two.ClusterOf);
            Assert.Equal(one.Objective, two.Objective, 1e-6 * one.Objective);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void Leave_one_out_errors_remove_much_of_the_optimism()
    {
        LoraDelta[] deltas = Synthetic.Families(5, 12, 1, 24, 20, 2, 4, 0.3);
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        var diagonalizer = new JointDiagonalizer(new FitOptions { RankU = 4, RankV = 4 });
        using JointFit all = diagonalizer.Fit(factors);
        double honest = 0;
        for (int i = 0; i < deltas.Length; i++)
        {
            using CanonicalFactors others = factors.Select([.. Enumerable.Range(0, deltas.Length).Where(j => j != i)]);
            using CanonicalFactors own = factors.Select([i]);
            using JointFit without = diagonalizer.Fit(others);
            honest += ReconstructionError.Of(own, without.Basis)[0];
        }

        double optimism = honest - all.TotalError, left = honest - LeaveOneOut.Errors(factors, all.Basis).Sum();
        Assert.True(optimism > 0.05 * honest, $"optimism {optimism} of {honest}");
        // Not all of it: the other members' weights still come from bases that saw the one left out.
        Assert.InRange(left, -0.2 * optimism, 0.6 * optimism);
    }

    [Fact]
    public void Affinity_is_one_for_equal_spaces_and_zero_for_orthogonal_ones()
    {
        using var scope = NewDisposeScope();
        using var affinity = new Affinity([0, 1, 2]);
        var left = new LoraDelta([1, 0, 0, 0], [1, 0, 0, 0], 4, 4, 1, 1);
        var same = new LoraDelta([-3, 0, 0, 0], [2, 0, 0, 0], 4, 4, 1, 5);
        var other = new LoraDelta([0, 1, 0, 0], [0, 0, 1, 0], 4, 4, 1, 1);
        using CanonicalFactors factors = Synthetic.Canonical([left, same, other]);
        affinity.Add(factors);
        double[,] a = Dense.From(affinity.Normalised());
        Assert.Equal(1, a[0, 1], 1e-6);
        Assert.Equal(0, a[0, 2], 1e-6);
        Assert.Equal(0, a[0, 0]);
    }

    private static int[] Planted(int families)
    {
        var random = new Random(families);
        int[] planted = [.. Enumerable.Range(0, Count).Select(i => i % families)];
        random.Shuffle(planted);
        return planted;
    }

    private static ClusterAssignment Assign(IReadOnlyList<CanonicalFactors> modules, int clusters, int rank = 5) =>
        new AdapterClusterer(new ClusterOptions { Clusters = clusters, RankU = rank, RankV = rank, Seed = 7 })
            .Assign(modules.SelectMany(m => m.Owners).Max() + 1, modules);

    private static bool SamePartition(int[] a, int[] b) =>
        a.Zip(b).Distinct().Count() == a.Distinct().Count() && a.Distinct().Count() == b.Distinct().Count();

    /// <summary>Two modules in which adapter i belongs to planted[i].</summary>
    private sealed class PlantedModules : IDisposable
    {
        internal PlantedModules(int[] planted, int families, double noise)
        {
            Factors = [.. new[] { (Seed: 1, DOut: 40), (Seed: 2, DOut: 16) }.Select(m =>
            {
                // Families gives family i mod families: take members in the planted order.
                LoraDelta[] pool = Synthetic.Families(m.Seed, planted.Length * families, families, m.DOut, 32, 3, 4, noise);
                return CanonicalFactors.From([.. planted.Select((family, i) => (i, pool[(i * families) + family]))]);
            })];
        }

        internal List<CanonicalFactors> Factors { get; }

        public void Dispose() => Factors.ForEach(f => f.Dispose());
    }
}
