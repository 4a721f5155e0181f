using Eigengate.Inference.Models;

namespace Eigengate.Inference.Tests.Models;

public class RopeScalingTests
{
    [Theory]
    [InlineData(14, 0.003211446)]
    [InlineData(15, 0.0012905479)]
    [InlineData(16, 0.0004295568)]
    [InlineData(17, 9.7082878e-05)]
    [InlineData(18, 1.9461638e-05)]
    [InlineData(31, 9.4183067e-08)]
    public void Llama3_frequencies_match_published_values(int pair, double expected)
    {
        double[] frequencies = new Llama3RopeScaling(32, 1, 4, 8192).Frequencies(64, 5e5);
        Assert.Equal(1, frequencies[pair] / expected, 1e-6);
    }

    [Fact]
    public void Linear_scaling_divides()
    {
        double[] plain = RopeScaling.None.Frequencies(8, 10000), scaled = new LinearRopeScaling(4).Frequencies(8, 10000);
        Assert.Equal([1, 0.1, 0.01, 0.001], plain.Select(f => Math.Round(f, 12)));
        Assert.Equal(plain.Select(f => f / 4), scaled);
    }

    [Theory]
    [InlineData(23, 0.0069783058)]
    [InlineData(24, 0.0053753215)]
    [InlineData(32, 0.00060294118)]
    [InlineData(40, 4.4456985e-05)]
    public void Yarn_frequencies_match_published_values(int pair, double expected)
    {
        var scaling = new YarnRopeScaling(4, 32768, 32, 1, YarnRopeScaling.DefaultMagnitude(4));
        Assert.Equal(1, scaling.Frequencies(128, 1e6)[pair] / expected, 1e-6);
        Assert.Equal(1.138629, scaling.Magnitude, 1e-6);
        Assert.Equal(131072, scaling.StretchedContext);
    }
}
