namespace Eigengate.Inference.Tests;

internal static class Close
{
    /// <summary>Every pair differs by at most the tolerance; says where it does not.</summary>
    public static void Assert(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, double tolerance)
    {
        Xunit.Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(Math.Abs(expected[i] - actual[i]) <= tolerance))
                Xunit.Assert.Fail($"at {i}: expected {expected[i]}, got {actual[i]}, more than {tolerance} apart");
        }
    }

    public static void Assert(float[][] expected, float[][] actual, double tolerance)
    {
        Xunit.Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert(expected[i], actual[i], tolerance);
    }
}
