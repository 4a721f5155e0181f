using System.Globalization;
using System.Text.RegularExpressions;

namespace Eigengate.ComputeNode.Tests.Support;

/// <summary>
/// A strict reader of the Prometheus text format 0.0.4: HELP, TYPE and samples of a family in one block, no series twice,
/// buckets cumulative with +Inf equal to the count. Anything else fails the test.
/// </summary>
internal sealed partial class Exposition
{
    private readonly Dictionary<string, Family> _families = [];

    private Exposition()
    {
    }

    public IReadOnlyDictionary<string, Family> Families => _families;

    public static async Task<Exposition> OfAsync(RunningNode node)
    {
        using HttpResponseMessage response = await node.Client.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        return Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public static Exposition Parse(string text)
    {
        var exposition = new Exposition();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        string[] lines = text[..^1].Split('\n');
        for (int i = 0; i < lines.Length;)
        {
            Match help = HelpLine().Match(lines[i++]);
            Assert.True(help.Success, $"line {i} is no HELP: {lines[i - 1]}");
            string name = help.Groups["name"].Value;
            Match type = TypeLine().Match(lines[i++]);
            Assert.True(type.Success && type.Groups["name"].Value == name, $"line {i} is no TYPE of {name}: {lines[i - 1]}");
            List<Sample> samples = [];
            while (i < lines.Length && lines[i][0] != '#')
                samples.Add(Sample.Parse(lines[i++]));
            var family = new Family(type.Groups["type"].Value, samples);
            family.Check(name);
            Assert.True(exposition._families.TryAdd(name, family), $"{name} is there twice");
        }

        return exposition;
    }

    /// <summary>The only sample with this name and at least these labels.</summary>
    public double this[string sample, params (string Name, string Value)[] labels]
    {
        get
        {
            IEnumerable<Sample> all = _families.Values.SelectMany(family => family.Samples);
            return Assert.Single(all, s => s.Name == sample && labels.All(label => s.Labels.GetValueOrDefault(label.Name) == label.Value)).Value;
        }
    }

    [GeneratedRegex("^# HELP (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) [^ ].*$")]
    private static partial Regex HelpLine();

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<type>counter|gauge|histogram)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>.*)\})? (?<value>[0-9][0-9.E+-]*)$""")]
    private static partial Regex SampleLine();

    [GeneratedRegex("""\G(?<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>([^"\\\n]|\\\\|\\"|\\n)*)"(,|$)""")]
    private static partial Regex Label();

    public sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value)
    {
        public static Sample Parse(string line)
        {
            Match match = SampleLine().Match(line);
            Assert.True(match.Success, $"no sample: {line}");
            string text = match.Groups["labels"].Value;
            MatchCollection labels = Label().Matches(text);
            Assert.Equal(text.Length, labels.Sum(label => label.Length));
            return new Sample(
                match.Groups["name"].Value,
                labels.ToDictionary(label => label.Groups["name"].Value, label => Unescape(label.Groups["value"].Value)),
                double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture));
        }

        private static string Unescape(string value) => Regex.Replace(value, @"\\(.)", escape => escape.Groups[1].Value == "n" ? "\n" : escape.Groups[1].Value);
    }

    public sealed record Family(string Type, IReadOnlyList<Sample> Samples)
    {
        /// <summary>Bounds of the buckets as written, without +Inf.</summary>
        public IEnumerable<string> Bounds => Samples.Where(s => s.Labels.ContainsKey("le")).Select(s => s.Labels["le"]).SkipLast(1);

        public void Check(string name)
        {
            Assert.NotEmpty(Samples);
            string[] suffixes = Type == "histogram" ? ["_bucket", "_sum", "_count"] : [""];
            Assert.All(Samples, s => Assert.Contains(s.Name, suffixes.Select(suffix => name + suffix)));
            Assert.Equal(Samples.Count, Samples.DistinctBy(s => s.Name + string.Join(',', s.Labels.OrderBy(label => label.Key))).Count());
            if (Type == "counter")
                Assert.EndsWith("_total", name, StringComparison.Ordinal);
            if (Type == "histogram")
                CheckBuckets(name);
        }

        private void CheckBuckets(string name)
        {
            Sample[] buckets = [.. Samples.Where(s => s.Name == $"{name}_bucket")];
            double[] bounds = [.. buckets.Select(b => b.Labels["le"] == "+Inf" ? double.PositiveInfinity : double.Parse(b.Labels["le"], CultureInfo.InvariantCulture))];
            Assert.Equal(bounds.Order(), bounds);
            Assert.Equal(double.PositiveInfinity, bounds[^1]);
            Assert.Equal(buckets.Select(b => b.Value).Order(), buckets.Select(b => b.Value));
            Assert.Equal(Assert.Single(Samples, s => s.Name == $"{name}_count").Value, buckets[^1].Value);
            Assert.Single(Samples, s => s.Name == $"{name}_sum");
        }
    }
}
