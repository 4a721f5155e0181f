using CsCheck;

namespace Eigengate.JointDiagonalization.Tests.Support;

/// <summary>A random small collection for property tests: k products of rank l, fitted with r_U and r_V.</summary>
internal sealed record SmallCase(int Seed, int OutFeatures, int InFeatures, int Count, int LoraRank, int RankU, int RankV)
{
    internal const int Iterations = 40;

    internal static readonly Gen<SmallCase> Any =
        from seed in Gen.Int[0, 1_000_000]
        from dOut in Gen.Int[3, 22]
        from dIn in Gen.Int[3, 22]
        from count in Gen.Int[1, 6]
        from lora in Gen.Int[1, 4]
        from rankU in Gen.Int[1, 6]
        from rankV in Gen.Int[1, 6]
        select new SmallCase(seed, dOut, dIn, count, lora, rankU, rankV);

    internal LoraDelta[] Deltas() => Synthetic.Unstructured(Seed, Count, OutFeatures, InFeatures, LoraRank);

    internal Fitting.FitOptions Options(Fitting.HalfStepMethod method = Fitting.HalfStepMethod.Krylov) =>
        new() { RankU = RankU, RankV = RankV, Iterations = 10, Tolerance = 0, Method = method };

    /// <summary>Runs a property one case at a time: the tensor library already uses every core.</summary>
    internal static void Check(Action<SmallCase> property) => Any.Sample(property, iter: Iterations, threads: 1);
}
