using System.CommandLine;
using Eigengate.Bench.Compression;

var adapters = new Option<int>("--adapters") { Description = "k, adapters in the collection", DefaultValueFactory = _ => 500 };
var dimension = new Option<int>("--dimension") { Description = "d of the square module", DefaultValueFactory = _ => 4096 };
var rank = new Option<int>("--lora-rank") { Description = "l, rank of the adapters", DefaultValueFactory = _ => 16 };
var clusters = new Option<int>("--clusters") { Description = "C, clusters; also the planted families", DefaultValueFactory = _ => 25 };
var noise = new Option<double>("--noise") { Description = "Noise of the families against their signal, in amplitude", DefaultValueFactory = _ => 0.5 };
var quick = new Option<bool>("--no-reference") { Description = "Do not compute the converged objective" };

var families = new Option<int>("--families") { Description = "Planted families in the module", DefaultValueFactory = _ => 8 };
var fit = new Command("fit", "One module: fits of rank 16 and 64 against the converged objective") { adapters, dimension, rank, families, quick };
fit.SetAction(o => FitBenchmark.Fit(o.GetValue(adapters), o.GetValue(dimension), o.GetValue(rank), o.GetValue(families), !o.GetValue(quick)));

var cluster = new Command("cluster", "One module: start and alternation of the assignment until it no longer changes") { adapters, dimension, rank, clusters, noise };
cluster.SetAction(o => FitBenchmark.Cluster(o.GetValue(adapters), o.GetValue(dimension), o.GetValue(rank), o.GetValue(clusters), o.GetValue(noise)));

var work = new Option<string>("--work") { Description = "Folder for made files; they are deleted afterwards", HelpName = "DIR", DefaultValueFactory = _ => Path.GetTempPath() };
var keep = new Option<bool>("--keep") { Description = "Keep the made files" };
var layers = new Option<int>("--layers") { Description = "Layers of the Mistral-7B shape; 32 need 10 GB of disk and half as much again for the bundle", DefaultValueFactory = _ => 32 };
var moduleCount = new Option<int>("--modules") { Description = "Square modules", DefaultValueFactory = _ => 24 };
var smallRank = new Option<int>("--lora-rank") { Description = "l, rank of the adapters", DefaultValueFactory = _ => 8 };
var width = new Option<int>("--dimension") { Description = "d of the square modules", DefaultValueFactory = _ => 1024 };

var figure = new Option<int?>("--figure-modules") { Description = "Modules of the survey for report.html; as many as compress takes by default" };

var mistral = new Command("mistral", "Files of a Mistral-7B shape (q, k, v) to a bundle, then a newcomer on it") { adapters, layers, rank, clusters, figure, work, keep };
mistral.SetAction(o => FilesBenchmark.Run(
    o.GetValue(work)!, AdapterFiles.Mistral(o.GetValue(layers)), o.GetValue(adapters), o.GetValue(rank), o.GetValue(clusters), o.GetValue(figure), o.GetValue(keep), newcomer: true));

var many = new Command("many", "Very many adapters of a small model; 10,000 of rank 8 need 8 GB of disk") { adapters, moduleCount, width, smallRank, clusters, figure, work, keep };
many.SetAction(o => FilesBenchmark.Run(
    o.GetValue(work)!, AdapterFiles.Square(o.GetValue(moduleCount), o.GetValue(width)), o.GetValue(adapters), o.GetValue(smallRank), o.GetValue(clusters), o.GetValue(figure), o.GetValue(keep), newcomer: false));

var qualityAdapters = new Option<int>("--adapters") { Description = "k, adapters in each collection", DefaultValueFactory = _ => 120 };
var qualityClusters = new Option<int>("--clusters") { Description = "C, clusters and planted families", DefaultValueFactory = _ => 6 };
var quality = new Command("quality", "Collections, methods, error, bytes and seconds, with the algorithm of the paper as baseline") { qualityAdapters, qualityClusters, work };
quality.SetAction(o => new QualityBenchmark(o.GetValue(qualityAdapters), loraRank: 16, rank: 16, o.GetValue(qualityClusters), o.GetValue(work)!).Run());

return new RootCommand("Speed, memory and quality of compression on collections that it makes itself; G is one 4096³ float32 product") { fit, cluster, mistral, many, quality }.Parse(args).Invoke();
