using Eigengate.JointDiagonalization.Tests.Support;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class CanonicalFactorsTests
{
    [Fact]
    public void Singular_values_are_those_of_the_dense_product()
    {
        LoraDelta[] deltas = Synthetic.Unstructured(9, 3, 7, 11, 4);
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        for (int i = 0; i < deltas.Length; i++)
        {
            double[] expected = [.. Dense.SingularValues(Dense.Product(deltas[i])).Take(4)];
            Assert.All(expected.Zip(factors.SingularValues(i)), pair => Assert.Equal(pair.First, pair.Second, 1e-6 * expected[0]));
            Assert.Equal(4, factors.SingularValues(i).Length);
        }
    }

    [Fact]
    public void Factors_times_norm_equal_the_dense_product() => SmallCase.Check(c =>
    {
        using var scope = NewDisposeScope();
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        Tensor products = factors.F.view(c.Count, factors.Width, -1).transpose(1, 2).bmm(factors.G.view(c.Count, factors.Width, -1));
        for (int i = 0; i < deltas.Length; i++)
        {
            double[,] dense = Dense.Product(deltas[i]);
            double squaredNorm = Dense.SquaredNorm(dense);
            Assert.Equal(Math.Sqrt(squaredNorm), factors.Norms[i], 1e-10 * Math.Sqrt(squaredNorm));
            double[,] rebuilt = Dense.Scaled(Dense.From(products[i]), factors.Norms[i]);
            Assert.True(Dense.SquaredDistance(dense, rebuilt) < 1e-20 * squaredNorm);
        }
    });

    [Fact]
    public void Row_norms_of_F_are_the_singular_values_and_G_is_orthonormal() => SmallCase.Check(c =>
    {
        using var scope = NewDisposeScope();
        LoraDelta[] deltas = c.Deltas();
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        for (int i = 0; i < deltas.Length; i++)
        {
            double[] expected = Dense.SingularValues(Dense.Unit(deltas[i]));
            double[,] f = Dense.From(factors.F.narrow(0, (long)i * factors.Width, factors.Width));
            double[,] g = Dense.From(factors.G.narrow(0, (long)i * factors.Width, factors.Width));
            double[,] gram = Dense.Multiply(g, Dense.Transpose(g));
            for (int j = 0; j < factors.Width; j++)
            {
                double norm = Math.Sqrt(Enumerable.Range(0, c.OutFeatures).Sum(row => f[j, row] * f[j, row]));
                Assert.Equal(expected[j], norm, 1e-7);
                for (int other = 0; other < factors.Width; other++)
                    Assert.Equal(j == other ? 1 : 0, gram[j, other], 1e-10);
            }
        }
    });

    [Fact]
    public void A_useless_direction_of_B_or_A_does_not_count()
    {
        var random = new Random(3);
        LoraDelta one = Synthetic.Random(random, 6, 5, 1);
        // The second column of B meets a zero row of A.
        float[] b = new float[12];
        for (int i = 0; i < 6; i++)
            (b[2 * i], b[(2 * i) + 1]) = (one.B[i], random.NextSingle());
        var padded = new LoraDelta(b, [.. one.A, .. new float[5]], 6, 5, 2, 1);
        using CanonicalFactors factors = Synthetic.Canonical([padded]);
        double[,] f = Dense.From(factors.F), g = Dense.From(factors.G);
        for (int j = 0; j < 6; j++)
            Assert.Equal(0, f[1, j]);
        for (int j = 0; j < 5; j++)
            Assert.Equal(0, g[1, j]);
    }

    [Fact]
    public void Zero_products_are_set_aside_and_never_divided_by_their_norm()
    {
        var random = new Random(5);
        LoraDelta live = Synthetic.Random(random, 6, 5, 2);
        var zero = new LoraDelta(new float[12], live.A, 6, 5, 2, 1);
        LoraDelta negligible = new(live.B, live.A, 6, 5, 2, 1e-14);
        using CanonicalFactors factors = Synthetic.Canonical([zero, live, negligible, live]);
        Assert.Equal([1, 3], factors.Owners);
        Assert.Equal([0, 2], factors.ZeroOwners);
        Assert.All(Dense.From(factors.F).Cast<double>(), v => Assert.True(double.IsFinite(v)));
    }

    [Fact]
    public void Mixed_ranks_are_padded_without_changing_any_product()
    {
        var random = new Random(7);
        LoraDelta[] deltas = [Synthetic.Random(random, 9, 7, 1), Synthetic.Random(random, 9, 7, 4), Synthetic.Random(random, 9, 7, 2)];
        using CanonicalFactors together = Synthetic.Canonical(deltas);
        using var scope = NewDisposeScope();
        Tensor products = together.F.view(3, together.Width, -1).transpose(1, 2).bmm(together.G.view(3, together.Width, -1));
        for (int i = 0; i < 3; i++)
            Assert.True(Dense.SquaredDistance(Dense.Unit(deltas[i]), Dense.From(products[i])) < 1e-20);
    }

    [Fact]
    public void A_rank_above_the_smaller_dimension_is_allowed()
    {
        LoraDelta wide = Synthetic.Random(new Random(9), 3, 8, 6);
        using CanonicalFactors factors = Synthetic.Canonical([wide]);
        Assert.Equal(3, factors.Width);
        Assert.Equal(Math.Sqrt(Dense.SquaredNorm(Dense.Product(wide))), factors.Norms[0], 1e-8);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1e-2f)]
    [InlineData(1e-5f)]
    [InlineData(0)]
    public void Nearly_dependent_columns_lose_no_precision(float independence)
    {
        // From 1e-5 on the Gram matrix is too ill-conditioned for Cholesky, at 0 it is singular.
        var random = new Random(11);
        float[] b = Synthetic.Gaussian(random, 60 * 3), a = Synthetic.Gaussian(random, 3 * 50);
        for (int row = 0; row < 60; row++)
            b[(row * 3) + 2] = b[row * 3] + (independence * b[(row * 3) + 2]);
        LoraDelta[] deltas = [Synthetic.Random(random, 60, 50, 3), new LoraDelta(b, a, 60, 50, 3, 1)];
        using CanonicalFactors factors = Synthetic.Canonical(deltas);
        using var scope = NewDisposeScope();
        Tensor products = factors.BatchedF.transpose(1, 2).bmm(factors.BatchedG);
        Tensor grams = factors.BatchedG.bmm(factors.BatchedG.transpose(1, 2));
        for (int i = 0; i < 2; i++)
        {
            Assert.True(Dense.SquaredDistance(Dense.Unit(deltas[i]), Dense.From(products[i])) < 1e-18);
            for (int j = 0; j < 3; j++)
                Assert.True(grams[i, j, j].item<double>() is var norm && (norm == 0 || Math.Abs(norm - 1) < 1e-9));
        }
    }

    [Fact]
    public void Deltas_of_different_shapes_are_refused()
    {
        var random = new Random(1);
        LoraDelta[] deltas = [Synthetic.Random(random, 4, 5, 1), Synthetic.Random(random, 5, 4, 1)];
        var error = Assert.Throws<ArgumentException>(() => Synthetic.Canonical(deltas));
        Assert.Contains("delta 1", error.Message, StringComparison.Ordinal);
    }
}
