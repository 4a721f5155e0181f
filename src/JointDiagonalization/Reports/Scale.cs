namespace Eigengate.JointDiagonalization.Reports;

/// <summary>From values to coordinates of a drawing, with round ticks.</summary>
internal sealed class Scale
{
    private readonly Func<double, double> _transform;
    private readonly double _low;
    private readonly double _high;
    private readonly double _from;
    private readonly double _to;

    private Scale(Func<double, double> transform, double low, double high, double from, double to, double[] ticks)
    {
        _transform = transform;
        _low = transform(low);
        _high = transform(high);
        _from = from;
        _to = to;
        Ticks = ticks;
    }

    internal double[] Ticks { get; }

    /// <summary>Ends on the first round step at or above <paramref name="high"/> and at or below <paramref name="low"/>.</summary>
    internal static Scale Linear(double low, double high, double from, double to, int steps = 5)
    {
        double step = RoundStep((high > low ? high - low : 1) / steps);
        double first = Math.Floor(low / step) * step, last = Math.Ceiling((high > low ? high : low + 1) / step - 1e-9) * step;
        int count = (int)Math.Round((last - first) / step);
        return new Scale(v => v, first, last, from, to, [.. Enumerable.Range(0, count + 1).Select(i => Math.Round(first + (i * step), 12))]);
    }

    /// <summary>Exactly from the lowest to the highest value, without ticks.</summary>
    internal static Scale Between(double low, double high, double from, double to, bool logarithmic) =>
        new(logarithmic ? Math.Log : v => v, low, high, from, to, []);

    internal double At(double value) => _high == _low ? (_from + _to) / 2 : _from + ((_transform(value) - _low) / (_high - _low) * (_to - _from));

    /// <summary>1, 2, 2.5 or 5 times a power of ten, at least <paramref name="least"/>.</summary>
    internal static double RoundStep(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        return new[] { 1, 2, 2.5, 5, 10 }.First(m => m * power >= least * (1 - 1e-9)) * power;
    }
}
