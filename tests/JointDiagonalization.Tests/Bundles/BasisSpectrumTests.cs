using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Bundles;

public sealed class BasisSpectrumTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_energies_are_the_squared_singular_values_of_the_served_unit_products()
    {
        Compressor.Compress(
            new CompressorOptions { Output = _folder["bundle"], RankU = 6, RankV = 4, Clusters = 2 }, AdapterFolders.Write(_folder["in"], 8, noise: 0));
        using Bundle bundle = Bundle.Open(_folder["bundle"]);
        var spectra = BasisSpectrum.ReadAll(bundle);
        Assert.Equal(2 * AdapterFolders.Modules.Length, spectra.Count);
        foreach (BasisSpectrum spectrum in spectra)
        {
            double[][,] served =
            [
                .. bundle.Manifest.Adapters.Where(a => a.Cluster == spectrum.Cluster)
                    .Select(a => ServedError.Delta(bundle, a.Id, spectrum.Module)).Select(m => Dense.Scaled(m, 1 / Math.Sqrt(Dense.SquaredNorm(m)))),
            ];
            Matches(spectrum.EnergyU, Dense.Sum(served.Select(m => Dense.Multiply(m, Dense.Transpose(m)))), served.Length);
            Matches(spectrum.EnergyV, Dense.Sum(served.Select(m => Dense.Multiply(Dense.Transpose(m), m))), served.Length);
            Assert.InRange(spectrum.EffectiveRankU, 1, spectrum.EnergyU.Length);
        }
    }

    [Fact]
    public void Equal_shares_use_every_column_and_a_single_one_uses_one()
    {
        Assert.Equal(4, new BasisSpectrum(0, "m", [0.25, 0.25, 0.25, 0.25], [1, 0, 0]).EffectiveRankU, 1e-12);
        Assert.Equal(1, new BasisSpectrum(0, "m", [0.25, 0.25, 0.25, 0.25], [1, 0, 0]).EffectiveRankV, 1e-12);
        Assert.Equal(0, new BasisSpectrum(0, "m", [0, 0], [0, 0]).EffectiveRankU);
    }

    private static void Matches(double[] energy, double[,] sum, int count)
    {
        double[] values = [.. Dense.Eigen(sum).Values.Take(energy.Length).Select(v => v / count)];
        Assert.Equal(1, energy.Sum(), 1e-9);
        for (int j = 0; j < energy.Length; j++)
            Assert.Equal(values[j], energy[j], 1e-3);
    }
}
