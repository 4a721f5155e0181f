using System.Globalization;
using System.Text;
using Eigengate.Inference.Metrics;

namespace Eigengate.ComputeNode.Metrics;

/// <summary>
/// Metric families in the Prometheus text format 0.0.4. Written here because the .NET client libraries refuse the colon of
/// <c>vllm:</c> names or add labels of their own.
/// </summary>
/// <param name="common">Labels of every sample, in addition to its own.</param>
internal sealed class PrometheusText(params (string Name, string Value)[] common)
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    /// <param name="name">Without the suffix <c>_total</c>, which the format adds.</param>
    public void Counter(string name, string help, long value)
    {
        Family($"{name}_total", "counter", help);
        Sample($"{name}_total", value);
    }

    /// <summary>A counter with one sample for each value of a label.</summary>
    public void Counter(string name, string help, string label, params IEnumerable<(string LabelValue, long Value)> samples)
    {
        Family($"{name}_total", "counter", help);
        foreach (var (labelValue, value) in samples)
            Sample($"{name}_total", value, (label, labelValue));
    }

    public void Gauge(string name, string help, double value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        Family(name, "gauge", help);
        Sample(name, value, labels);
    }

    /// <summary>A gauge with one sample for each value of a label.</summary>
    public void Gauge(string name, string help, string label, params IEnumerable<(string LabelValue, double Value)> samples)
    {
        Family(name, "gauge", help);
        foreach (var (labelValue, value) in samples)
            Sample(name, value, (label, labelValue));
    }

    public void Histogram(string name, string help, Histogram histogram)
    {
        Family(name, "histogram", help);
        var (upTo, sum) = histogram.Read();
        for (int i = 0; i < upTo.Length; i++)
            Sample($"{name}_bucket", upTo[i], ("le", i < histogram.Bounds.Count ? Number(histogram.Bounds[i]) : "+Inf"));
        Sample($"{name}_sum", sum);
        Sample($"{name}_count", upTo[^1]);
    }

    private void Family(string name, string type, string help) =>
        _text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    private void Sample(string name, double value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        _text.Append(name);
        char before = '{';
        foreach (var (label, labelValue) in (ReadOnlySpan<(string, string)>)[.. common, .. labels])
        {
            _text.Append(before).Append(label).Append("=\"").Append(Escape(labelValue)).Append('"');
            before = ',';
        }

        if (before == ',')
            _text.Append('}');
        _text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>Whole numbers with ".0", as the Python client writes them: bucket bounds are compared as text.</summary>
    private static string Number(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAnyExceptInRange('0', '9') < 0 ? text + ".0" : text;
    }

    private static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
