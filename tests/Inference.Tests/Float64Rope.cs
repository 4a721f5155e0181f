using System.Text.Json;

namespace Eigengate.Inference.Tests;

/// <summary>Rotary embedding in float64 from the formulas of spec/adapters.md §5.1: pair i of a head is (i, i + head_dim / 2).</summary>
internal sealed class Float64Rope
{
    private readonly int _headDim;
    private readonly double[] _frequencies;
    private readonly double _magnitude = 1;

    public Float64Rope(JsonElement config, int headDim)
    {
        _headDim = headDim;
        JsonElement scaling = Object(config, "rope_parameters") ?? Object(config, "rope_scaling") ?? default;
        double theta = Number(scaling, "rope_theta") ?? Number(config, "rope_theta") ?? 10000;
        _frequencies = [.. Enumerable.Range(0, headDim / 2).Select(i => Math.Pow(theta, -2.0 * i / headDim))];
        double factor = Number(scaling, "factor") ?? 1;
        double original = Number(scaling, "original_max_position_embeddings") ?? Number(config, "max_position_embeddings")!.Value;
        switch (Text(scaling, "rope_type") ?? Text(scaling, "type"))
        {
            case "linear":
                _frequencies = [.. _frequencies.Select(f => f / factor)];
                break;
            case "llama3":
                double low = Number(scaling, "low_freq_factor")!.Value, high = Number(scaling, "high_freq_factor")!.Value;
                _frequencies = [.. _frequencies.Select(f => Llama3(f, factor, low, high, original))];
                break;
            case "yarn":
                _magnitude = Number(scaling, "attention_factor") ?? ((0.1 * Math.Log(factor)) + 1);
                double Corner(double turns) => headDim * Math.Log(original / (2 * Math.PI * turns)) / (2 * Math.Log(theta));
                double from = Math.Max(Math.Floor(Corner(Number(scaling, "beta_fast") ?? 32)), 0);
                double to = Math.Min(Math.Ceiling(Corner(Number(scaling, "beta_slow") ?? 1)), headDim - 1);
                _frequencies = [.. _frequencies.Select((f, i) =>
                {
                    double ramp = Math.Clamp((i - from) / (to - from), 0, 1);
                    return (f * (1 - ramp)) + (f / factor * ramp);
                })];
                break;
        }
    }

    /// <summary>Rotates consecutive heads in place.</summary>
    public void Rotate(double[] heads, int position)
    {
        int half = _headDim / 2;
        for (int head = 0; head < heads.Length; head += _headDim)
        {
            for (int i = 0; i < half; i++)
            {
                double cos = Math.Cos(position * _frequencies[i]) * _magnitude, sin = Math.Sin(position * _frequencies[i]) * _magnitude;
                double a = heads[head + i], b = heads[head + half + i];
                heads[head + i] = (a * cos) - (b * sin);
                heads[head + half + i] = (b * cos) + (a * sin);
            }
        }
    }

    private static double Llama3(double frequency, double factor, double low, double high, double original)
    {
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < original / high)
            return frequency;
        if (wavelength > original / low)
            return frequency / factor;
        double t = ((original / wavelength) - low) / (high - low);
        return ((1 - t) * frequency / factor) + (t * frequency);
    }

    private static JsonElement? Object(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static double? Number(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number
            ? value.GetDouble()
            : null;

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;
}
