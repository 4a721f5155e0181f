namespace Eigengate.Inference.Metrics;

/// <summary>Bucket bounds of vLLM's histograms (spec/http-api.md §12.5), which its dashboards expect.</summary>
public static class Buckets
{
    /// <summary>Seconds until the first token.</summary>
    public static readonly IReadOnlyList<double> FirstToken =
        [.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];

    /// <summary>Seconds between tokens.</summary>
    public static readonly IReadOnlyList<double> BetweenTokens =
        [.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];

    /// <summary>Seconds of a whole request or a phase of it.</summary>
    public static readonly IReadOnlyList<double> Request =
        [.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];

    /// <summary>Tokens of one step: 1, 8, 16, … doubling to 16384.</summary>
    public static readonly IReadOnlyList<double> StepTokens = [1, .. Enumerable.Range(3, 12).Select(power => (double)(1 << power))];

    /// <summary>Choices of a request.</summary>
    public static readonly IReadOnlyList<double> Choices = [1, 2, 5, 10, 20];

    /// <summary>1, 2, 5, 10, 20, 50, … as far as a context of <paramref name="length"/> tokens goes.</summary>
    public static IReadOnlyList<double> Tokens(int length)
    {
        List<double> bounds = [];
        for (long decade = 1; decade <= length; decade *= 10)
            bounds.AddRange(new[] { decade, 2 * decade, 5 * decade }.Where(bound => bound <= length).Select(bound => (double)bound));
        return bounds;
    }
}
