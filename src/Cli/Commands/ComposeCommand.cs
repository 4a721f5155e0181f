using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Revisions;

namespace Eigengate.Cli.Commands;

/// <summary>A weighted mix of adapters as a new adapter.</summary>
internal static class ComposeCommand
{
    private static readonly Option<string> Source = new("--bundle") { Description = "Bundle folder; it is not changed", HelpName = "BUNDLE", Required = true };
    private static readonly Option<string> Id = new("--id") { Description = "Name of the new adapter", HelpName = "ID", Required = true };

    private static readonly Option<MixPart[]> Mix = new("--mix")
    {
        Description = "An adapter and its weight, e.g. poet=0.7; once for each. All must be in one cluster",
        HelpName = "ID=W",
        Required = true,
        AllowMultipleArgumentsPerToken = true,
        CustomParser = argument => [.. argument.Tokens.Select(token => ParsePart(token.Value, argument))],
    };

    private static readonly Option<string?> Out = new("--out") { Description = "Bundle to write: everything of --bundle and the new adapter", HelpName = "BUNDLE" };
    private static readonly Option<string?> ToPeft = new("--to-peft") { Description = "Or an ordinary LoRA adapter to write", HelpName = "DIR" };
    private static readonly Option<bool> Overwrite = new("--overwrite") { Description = "Replace the bundle in --out" };

    public static Command Create()
    {
        var command = new Command("compose", """
            Mixes adapters of one cluster into a new one: the weighted sum of what they serve, exactly, at the cost of one core.

            The files of the old bundle are taken over byte for byte. Without --out and --to-peft it only says what would come out.

            Example:  eigengate compose --bundle my-bundle --id poet-lawyer --mix poet=0.7 --mix lawyer=0.3 --out my-bundle-2
            """)
        {
            Source, Id, Mix, Out, ToPeft, Overwrite,
        };
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        string id = options.GetValue(Id)!;
        MixPart[] mix = options.GetValue(Mix)!;
        using Bundle bundle = Bundle.Open(options.GetValue(Source)!);
        if (mix.FirstOrDefault(p => !bundle.Contains(p.Adapter)) is { Adapter: { } unknown })
            throw new ArgumentException($"the bundle has no adapter '{unknown}'");
        if (bundle.Contains(id))
            throw new ArgumentException($"the bundle already has an adapter '{id}'");

        AddedAdapter composed = AdapterComposer.Compose(bundle, id, mix);
        Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{id}: {string.Join(" + ", mix.Select(p => $"{p.Weight:G6}·{p.Adapter}"))}, cluster {composed.Cluster}; exact for what these serve, relative squared error to the same mix of the originals at most {composed.RelSqError:P2}"));
        if (options.GetValue(Out) is { } output)
        {
            BundleManifest manifest = BundleExtension.Write(bundle, [composed], output, options.GetValue(Overwrite), cancel);
            Console.Out.WriteLine($"bundle {output}, generation {manifest.Generation[..16]}, {manifest.Adapters.Length} adapters");
        }

        if (options.GetValue(ToPeft) is { } folder)
        {
            PeftExport.Write(bundle, composed, folder);
            Console.Out.WriteLine($"LoRA adapter {folder}");
        }

        return ExitCode.Success;
    }

    private static MixPart ParsePart(string text, ArgumentResult argument)
    {
        int at = text.LastIndexOf('=');
        if (at > 0 && double.TryParse(text.AsSpan(at + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double weight))
            return new MixPart(text[..at], weight);
        argument.AddError($"--mix takes an adapter and its weight such as poet=0.7; '{text}' is not");
        return default;
    }
}
