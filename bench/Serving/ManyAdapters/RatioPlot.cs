using System.Globalization;
using System.Text;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>Throughput ratio against the number of adapters, as an SVG picture.</summary>
internal static class RatioPlot
{
    private const int Width = 640, Height = 360, Left = 60, Right = 20, Top = 40, Bottom = 50;

    private static readonly string[] Colours = ["#1f6feb", "#d1242f", "#1a7f37"];

    /// <param name="series">Name, and (adapters, ratio, lowest, highest) of each point.</param>
    public static string Draw(string title, IReadOnlyList<(string Name, IReadOnlyList<(int Adapters, double Ratio, double Low, double High)> Points)> series)
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        svg.Append(CultureInfo.InvariantCulture, $"<rect width=\"{Width}\" height=\"{Height}\" fill=\"white\"/>\n");
        Text(Width / 2.0, 20, title, "middle");
        Text(Width / 2.0, Height - 10, "adapters", "middle");
        for (double y = 0; y <= 1.101; y += 0.2)
        {
            Line(Left, Y(y), Width - Right, Y(y), "#d0d7de", "");
            Text(Left - 8, Y(y) + 4, y.ToString("0.0", CultureInfo.InvariantCulture), "end");
        }

        Line(Left, Y(0.8), Width - Right, Y(0.8), "#9a6700", "stroke-dasharray=\"4 4\"");
        Text(Width - Right, Y(0.8) + 14, "0.80: published for 1,000 adapters on a GPU", "end");
        foreach (int adapters in series[0].Points.Select(p => p.Adapters))
            Text(X(adapters), Height - Bottom + 18, adapters.ToString("N0", CultureInfo.InvariantCulture), "middle");
        for (int s = 0; s < series.Count; s++)
            DrawSeries(series[s].Points, series[s].Name, Colours[s % Colours.Length], s);
        return svg.Append("</svg>\n").ToString();

        void DrawSeries(IReadOnlyList<(int Adapters, double Ratio, double Low, double High)> points, string name, string colour, int index)
        {
            string path = string.Join(' ', points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(p.Adapters):F1},{Y(p.Ratio):F1}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n");
            foreach (var (adapters, ratio, low, high) in points)
            {
                Line(X(adapters), Y(low), X(adapters), Y(high), colour, "");
                svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(adapters):F1}\" cy=\"{Y(ratio):F1}\" r=\"4\" fill=\"{colour}\"/>\n");
            }

            Line(Left + 10, Y(0.5) + (18 * index), Left + 34, Y(0.5) + (18 * index), colour, "stroke-width=\"2\"");
            Text(Left + 40, Y(0.5) + 4 + (18 * index), name, "start");
        }

        void Line(double x1, double y1, double x2, double y2, string colour, string style) => svg.Append(
            CultureInfo.InvariantCulture, $"<line x1=\"{x1:F1}\" y1=\"{y1:F1}\" x2=\"{x2:F1}\" y2=\"{y2:F1}\" stroke=\"{colour}\" {style}/>\n");

        void Text(double x, double y, string text, string anchor) => svg.Append(
            CultureInfo.InvariantCulture, $"<text x=\"{x:F1}\" y=\"{y:F1}\" text-anchor=\"{anchor}\">{text}</text>\n");
    }

    private static double X(int adapters) => Left + 30 + ((Width - Left - Right - 60) * Math.Log2(adapters) / 10);

    private static double Y(double ratio) => Top + ((Height - Top - Bottom) * (1.1 - ratio) / 1.1);
}
