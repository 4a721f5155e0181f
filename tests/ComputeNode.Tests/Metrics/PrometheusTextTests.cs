using Eigengate.ComputeNode.Metrics;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference.Metrics;

namespace Eigengate.ComputeNode.Tests.Metrics;

public sealed class PrometheusTextTests
{
    [Fact]
    public void Families_AreWrittenAsTheFormatSays()
    {
        var histogram = new Histogram([0.5, 1]);
        foreach (double value in (double[])[0.5, 0.75, 3])
            histogram.Observe(value);
        var text = new PrometheusText(("engine", "0"));
        text.Counter("a:b", "Things.", 3);
        text.Gauge("g", "Level.", "kind", ("x", 0.25), ("y", 0));
        text.Histogram("h_seconds", "Times.", histogram);
        Assert.Equal(
            """
            # HELP a:b_total Things.
            # TYPE a:b_total counter
            a:b_total{engine="0"} 3.0
            # HELP g Level.
            # TYPE g gauge
            g{engine="0",kind="x"} 0.25
            g{engine="0",kind="y"} 0.0
            # HELP h_seconds Times.
            # TYPE h_seconds histogram
            h_seconds_bucket{engine="0",le="0.5"} 1.0
            h_seconds_bucket{engine="0",le="1.0"} 2.0
            h_seconds_bucket{engine="0",le="+Inf"} 3.0
            h_seconds_sum{engine="0"} 4.25
            h_seconds_count{engine="0"} 3.0

            """,
            text.ToString());
    }

    [Fact]
    public void LabelValues_WithQuotesBackslashesAndLines_SurviveTheFormat()
    {
        const string Hostile = "a\\n\"b\nc,d}\\";
        var text = new PrometheusText();
        text.Gauge("g", "Level.", 1, ("name", Hostile));
        Assert.Equal(1, Exposition.Parse(text.ToString())["g", ("name", Hostile)]);
    }
}
